import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "#shared/log.ts";
import type { Command, ToAgent } from "#shared/protocol/commands.ts";
import type { AgentEvent } from "#shared/protocol/events.ts";
import { fitInventory } from "#shared/protocol/fit-inventory.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import type { AgentEnvironment } from "#shared/protocol/machine.ts";
import { backoffMs } from "#shared/retry.ts";
import { CommandJournal } from "./commands/command-journal.ts";
import { CommandRunner } from "./commands/command-runner.ts";
import type { Executors } from "./commands/executor.ts";
import type { Identity } from "./identity/identity.ts";
import { isCertificateRefused } from "./link/credentials.ts";
import { type CloudTime, IncomingMessages } from "./link/incoming-messages.ts";
import { Link } from "./link/link.ts";
import { inTime } from "./machine/in-time.ts";

export interface AgentOptions {
  identity: Identity;
  /** By its time the agent judges what it is asked. */
  cloud: CloudTime;
  version: string;
  /** For the journal; this process's alone. */
  dataDir: string;
  /** What this agent can do: see `roles/`. */
  executors: Executors;
  /** Of the machine's own system. */
  takeInventory?: () => Promise<Inventory>;
  /** Which system this is, and which boot of it; a command for the other one is left alone. */
  environment: AgentEnvironment;
  bootId: () => Promise<string>;
  /** The control plane has a command's result. */
  onAcknowledged?: (commandId: string) => void;
  /** A command is not wanted any more, be it done or not. */
  onCancelled?: (commandId: string) => void;
  log: Log;
  now: () => Date;
  random: () => number;
}

const INVENTORY_PATIENCE_MS = 20_000;
/**
 * After these a machine may be fit for what it was not fit for when the agent connected: an entry of the
 * boot loader is gone.
 */
const TAKE_BACK_ARMING: readonly string[] = ["attest-boot-state", "release"];

/**
 * An enrolled agent: connects, says what its machine is, and runs the commands of its role until it is
 * stopped.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #link: Link;
  readonly #incoming: IncomingMessages;
  readonly #runner: CommandRunner;
  readonly #journal: CommandJournal;
  #introductions = 0;

  constructor(options: AgentOptions) {
    const { identity, cloud, dataDir, executors, log, now, random } = options;
    this.#options = options;
    this.#journal = new CommandJournal(join(dataDir, "commands.sqlite"), cloud.now);
    this.#runner = new CommandRunner({
      executors,
      journal: this.#journal,
      publish: (event) => this.#publish(event),
      onDone: ({ kind }) => this.#tellAfter(kind),
      log,
      now,
    });
    this.#incoming = new IncomingMessages({
      ...{ identity, cloud, log },
      elapsedMs: () => performance.now(),
      onMessage: (message) => this.#receive(message),
      onOutOfTime: (command, problem) => {
        if (this.#isMeantHere(command)) this.#runner.refuse(command, problem);
      },
      onTime: () => this.#journal.forgetOld(),
    });
    this.#link = new Link({
      identity,
      log,
      random,
      onConnected: () => {
        this.#incoming.connected();
        void this.#introduce();
      },
      onMessage: (payload) => this.#incoming.receive(payload),
      isRevoked: () => isCertificateRefused(identity),
    });
  }

  get connected(): boolean {
    return this.#link.connected;
  }

  /** A command runs. */
  get working(): boolean {
    return this.#runner.working;
  }

  /** Runs until `stop`; throws `CertificateRevokedError` once this agent was revoked. */
  run(): Promise<void> {
    return this.#link.run();
  }

  /** Stops what runs, to be continued after the next start. */
  async stop(): Promise<void> {
    this.#incoming.close();
    await this.#runner.stop();
    await this.#link.stop();
    this.#journal.close();
  }

  #receive(message: ToAgent): void {
    const { log, onAcknowledged, onCancelled } = this.#options;
    if (message.type === "command" && !this.#isMeantHere(message)) {
      log.info("a command for the other system", { commandId: message.commandId });
      return;
    }
    this.#runner.receive(message);
    if (message.type === "acknowledge") onAcknowledged?.(message.commandId);
    if (message.type === "cancel") onCancelled?.(message.commandId);
  }

  #isMeantHere({ environment = "original" }: Command): boolean {
    return environment === this.#options.environment;
  }

  #publish(event: AgentEvent): Promise<void> {
    return this.#link.publish({ ...event, environment: this.#options.environment });
  }

  /**
   * Tells the control plane what this machine is; the answer is every command that is pending for this
   * agent. Tried again until it is told, or the connection is another one: without it the agent would be
   * connected and good for nothing.
   */
  async #introduce(): Promise<void> {
    const { log, random } = this.#options;
    const turn = ++this.#introductions;
    for (let failures = 1; turn === this.#introductions && this.#link.connected; failures++) {
      try {
        return await this.#tellOfItself();
      } catch (error) {
        log.warn("could not introduce itself", { error: String(error) });
      }
      await sleep(backoffMs(failures, random()), undefined, { ref: false });
    }
  }

  /**
   * The control plane judges by the last inventory whether the machine can be cloned, and that one may be
   * of before these commands.
   */
  async #tellAfter(kind: string): Promise<void> {
    if (!TAKE_BACK_ARMING.includes(kind)) return;
    await this.#tellOfItself().catch((error: unknown) => {
      // The next connection tells it.
      this.#options.log.warn("could not introduce itself", { error: String(error) });
    });
  }

  /** Commands that wait do not wait for a disk that answers slowly: then the inventory follows. */
  async #tellOfItself(): Promise<void> {
    const { takeInventory, log } = this.#options;
    if (!takeInventory) return this.#tell();
    const looking = takeInventory();
    const isLate = await inTime(
      looking.then(() => false),
      INVENTORY_PATIENCE_MS,
      () => true,
    );
    if (isLate) {
      log.warn("the inventory takes long", { seconds: INVENTORY_PATIENCE_MS / 1000 });
      await this.#tell();
    }
    await this.#tell(await looking);
  }

  async #tell(inventory?: Inventory): Promise<void> {
    const { bootId, version, now, log } = this.#options;
    const fitted = inventory && fitInventory(inventory);
    if (fitted?.problems) log.warn("the inventory is not whole", { problems: fitted.problems });
    await this.#publish({
      type: "agent-connected",
      at: now().toISOString(),
      agentVersion: version,
      bootId: await bootId(),
      ...(fitted ? { inventory: fitted } : {}),
    });
  }
}
