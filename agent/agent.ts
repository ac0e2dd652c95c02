import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inventoryProblems } from "#shared/domain/inventory-problems.ts";
import type { Log } from "#shared/log.ts";
import type { Command, ToAgent } from "#shared/protocol/commands.ts";
import type { AgentEvent } from "#shared/protocol/events.ts";
import type { BrokenFence } from "#shared/protocol/fence.ts";
import { fitInventory } from "#shared/protocol/fit-inventory.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import type { AgentSystem } from "#shared/protocol/machine.ts";
import { backoffMs } from "#shared/retry.ts";
import { CommandJournal } from "./commands/command-journal.ts";
import { CommandRunner, type DoneWork } from "./commands/command-runner.ts";
import type { Executors } from "./commands/executor.ts";
import type { Identity } from "./identity/identity.ts";
import { isNews, type SeenMachine } from "./inventory/news.ts";
import { isCertificateRefused } from "./link/credentials.ts";
import { type CloudTime, IncomingMessages } from "./link/incoming-messages.ts";
import { Link } from "./link/link.ts";
import { withTimeLimit } from "./machine/time-limit.ts";

export interface AgentOptions {
  identity: Identity;
  /** Gives the time by which the agent judges whether a message has expired. */
  cloud: CloudTime;
  version: string;
  /** Holds the journal; used by this process alone. */
  dataDir: string;
  /** What this agent can do: see `roles/`. */
  executors: Executors;
  /** Describes the machine; only an agent in the original system does that. */
  takeInventory?: () => Promise<Inventory>;
  /** The machine as the last command for a recovery point saw it; `undefined` before the first. */
  seen?: () => SeenMachine | undefined;
  /** Of a source: what the control plane has to know of its fence. */
  brokenFence?: () => Promise<BrokenFence | undefined>;
  /** The system this agent runs in. It ignores commands for the other system. */
  environment: AgentSystem;
  bootId: () => Promise<string>;
  /** The control plane has stored a command's result. */
  onAcknowledged?: (commandId: string) => void;
  /** The control plane no longer needs a command, whether or not it has run. */
  onCancelled?: (commandId: string) => void;
  /**
   * The agent starts: what it announced before it ended is still to be done. `retract`: for the command with
   * this id, as `ExecutionContext` has it.
   */
  onStart?: (retract: (commandId: string, error: unknown) => Promise<void>) => void;
  log: Log;
  now: () => Date;
  random: () => number;
}

/** Longer than an idle server takes. A busy one gets its commands while it still looks at itself. */
const INVENTORY_WAIT_MS = 3_000;
/** A person at the console can break the fence while the agent is connected. */
const FENCE_LOOK_MS = 5_000;

/**
 * An enrolled agent: connects, describes its machine, and runs the commands of its role until it is stopped.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #link: Link;
  readonly #incoming: IncomingMessages;
  readonly #runner: CommandRunner;
  readonly #journal: CommandJournal;
  #introductions = 0;
  /** As the last inventory that was sent has them. */
  #reported: SeenMachine | undefined;
  /** The last broken fence that was sent. */
  #reportedFence: BrokenFence | undefined;
  #fenceTimer: NodeJS.Timeout | undefined;

  constructor(options: AgentOptions) {
    const { identity, cloud, dataDir, executors, log, now, random } = options;
    this.#options = options;
    this.#journal = new CommandJournal(join(dataDir, "commands.sqlite"), cloud.now);
    this.#runner = new CommandRunner({
      executors,
      journal: this.#journal,
      publish: (event) => this.#publish(event),
      onDone: (command, done) => this.#tellAfter(command, done),
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

  /** Whether a command is running. */
  get working(): boolean {
    return this.#runner.working;
  }

  /** Runs until `stop`; throws `CertificateRevokedError` if the agent's certificate has been revoked. */
  run(): Promise<void> {
    this.#options.onStart?.((commandId, error) => this.#runner.retract(commandId, error));
    this.#fenceTimer = setInterval(() => void this.#tellOfBrokenFence(), FENCE_LOOK_MS).unref();
    return this.#link.run();
  }

  /** Interrupts running commands; they continue after the next start. */
  async stop(): Promise<void> {
    clearInterval(this.#fenceTimer);
    this.#incoming.close();
    await this.#runner.stop();
    await this.#link.stop();
    this.#journal.close();
  }

  #receive(message: ToAgent): void {
    const { log, onAcknowledged, onCancelled } = this.#options;
    if (message.type === "command" && !this.#isMeantHere(message)) {
      log.info("ignoring a command for the other system", { commandId: message.commandId });
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
   * Sends `agent-connected`; the control plane answers with every command that is pending for this agent.
   * Retries until it succeeds or the connection is replaced: an agent that never sends it stays connected but
   * never gets any commands.
   */
  async #introduce(): Promise<void> {
    const { log, random } = this.#options;
    const turn = ++this.#introductions;
    for (let failures = 1; turn === this.#introductions && this.#link.connected; failures++) {
      try {
        return await this.#tellOfItself();
      } catch (error) {
        log.warn("could not send agent-connected", { error: String(error) });
      }
      await sleep(backoffMs(failures, random()), undefined, { ref: false });
    }
  }

  /**
   * The control plane judges by the latest inventory whether the machine can be cloned, and which disks a
   * plan's runs read. That inventory may be older than what the command did or met.
   */
  async #tellAfter({ kind }: Command, { machineChanged }: DoneWork): Promise<void> {
    const told = machineChanged ? this.#tellOfItself() : kind === "take-recovery-point" && this.#tellOfNews();
    await Promise.resolve(told).catch((error: unknown) => {
      // The agent sends it again when it next connects.
      this.#options.log.warn("could not send agent-connected", { error: String(error) });
    });
  }

  /**
   * If a disk or the whole machine answers slowly, sends `agent-connected` without the inventory first, so
   * that pending commands do not wait for it.
   */
  async #tellOfItself(): Promise<void> {
    const { takeInventory, log } = this.#options;
    if (!takeInventory) return this.#tell();
    const looking = takeInventory();
    const isLate = await withTimeLimit(
      looking.then(() => false),
      INVENTORY_WAIT_MS,
      () => true,
    );
    if (isLate) {
      log.warn("the inventory is taking long", { seconds: INVENTORY_WAIT_MS / 1000 });
      await this.#tell();
    }
    await this.#tell(await looking);
  }

  /**
   * A disk that was added or removed must not wait for the next connection: plans would not know of it. A
   * service that was installed, removed or started must not either: a cutover is judged by what is known.
   */
  async #tellOfNews(): Promise<void> {
    const seen = this.#options.seen?.();
    if (seen && isNews(seen, this.#reported)) await this.#tellOfItself();
  }

  /** Until the control plane knows, the machine in the source's place may ask for more time to run. */
  async #tellOfBrokenFence(): Promise<void> {
    const { brokenFence, log } = this.#options;
    try {
      const broken = await brokenFence?.();
      if (!broken || broken.term === this.#reportedFence?.term || !this.#link.connected) return;
      await this.#tell();
      log.info("sent that the fence is broken", { term: broken.term });
    } catch (error) {
      log.warn("could not send that the fence is broken", { error: String(error) });
    }
  }

  async #tell(inventory?: Inventory): Promise<void> {
    const { bootId, version, now, log } = this.#options;
    const brokenFence = await this.#options.brokenFence?.();
    const fitted = inventory && fitInventory(inventory);
    const problems = fitted ? inventoryProblems(fitted) : [];
    if (problems.length > 0) log.warn("the inventory has problems", { problems });
    await this.#publish({
      type: "agent-connected",
      at: now().toISOString(),
      agentVersion: version,
      bootId: await bootId(),
      ...(fitted ? { inventory: fitted } : {}),
      ...(brokenFence ? { brokenFence } : {}),
    });
    if (inventory) this.#reported = inventory;
    this.#reportedFence = brokenFence;
  }
}
