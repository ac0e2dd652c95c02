import { join } from "node:path";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { agentApi } from "./cloud/agent-api.ts";
import { cachedUntilExpiry } from "./cloud/expiring.ts";
import { type CloudPorts, openOwnRepository } from "./cloud/own-repository.ts";
import { openReadableRepository } from "./cloud/readable-repository.ts";
import { bootCheckExecutor } from "./commands/boot-check.ts";
import { type CaptureDeps, captureDiskExecutor, capturesDir } from "./commands/capture-disk.ts";
import { CommandRunner } from "./commands/command-runner.ts";
import { commitRecoveryPointExecutor } from "./commands/commit-recovery-point.ts";
import type { Executors } from "./commands/executor.ts";
import { conversionDir, materialiseExecutor } from "./commands/materialise.ts";
import { releaseExecutor } from "./commands/release.ts";
import { verifyExecutor } from "./commands/verify.ts";
import type { Identity } from "./identity/identity.ts";
import { CommandJournal } from "./journal/command-journal.ts";
import { certificateCredentials } from "./link/credentials.ts";
import { Link } from "./link/link.ts";
import type { Log } from "./log.ts";
import type { Repository } from "./repository/repository.ts";
import { RetryingStore } from "./repository/retrying-store.ts";
import { S3Store } from "./repository/s3-store.ts";

export interface AgentOptions {
  identity: Identity;
  version: string;
  /** For journals; this process's alone. */
  dataDir: string;
  /** Where a target host keeps the images. */
  imagesDir: string;
  takeInventory: () => Promise<Inventory>;
  /** What may be captured, and which parts of it matter. */
  disks: CaptureDeps["disks"];
  usedExtents: CaptureDeps["usedExtents"];
  log: Log;
  now: () => Date;
  random: () => number;
}

/** An enrolled agent: connects, says what its machine is, and runs the commands of its role until it is stopped. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #link: Link;
  readonly #runner: CommandRunner;
  readonly #journal: CommandJournal;

  constructor(options: AgentOptions) {
    const { identity, dataDir, log, now, random } = options;
    this.#options = options;
    this.#journal = new CommandJournal(join(dataDir, "commands.sqlite"), now);
    this.#runner = new CommandRunner({
      executors: executorsOf(options),
      journal: this.#journal,
      publish: (event) => this.#link.publish(event),
      log,
      now,
    });
    this.#link = new Link({
      identity,
      log,
      random,
      onConnected: () => void this.#introduce(),
      onMessage: (message) => this.#runner.receive(message),
    });
  }

  /** Runs until `stop`. */
  run(): Promise<void> {
    return this.#link.run();
  }

  /** Stops what runs, to be continued after the next start. */
  async stop(): Promise<void> {
    await this.#runner.stop();
    await this.#link.stop();
    this.#journal.close();
  }

  /** The answer is every command that is pending for this agent. If it cannot be sent, the link is down and this happens again. */
  async #introduce(): Promise<void> {
    const { takeInventory, version, now, log } = this.#options;
    try {
      const inventory = await takeInventory();
      await this.#link.publish({
        type: "agent-connected",
        at: now().toISOString(),
        agentVersion: version,
        inventory,
      });
    } catch (error) {
      log.warn("could not introduce itself", { error: String(error) });
    }
  }
}

function executorsOf(options: AgentOptions): Executors {
  const { identity, takeInventory, now, random } = options;
  const common: Executors = { "take-inventory": async () => ({ inventory: await takeInventory() }) };
  const credentials = cachedUntilExpiry(
    certificateCredentials(identity),
    ({ expiration }) => expiration.getTime(),
    () => now().getTime(),
  );
  const ports: CloudPorts = { credentials, now: () => now().getTime(), random };
  return {
    ...common,
    ...(identity.role === "source" ? sourceExecutors(options, ports) : targetExecutors(options, ports)),
  };
}

function sourceExecutors(
  { identity, dataDir, version, disks, usedExtents }: AgentOptions,
  ports: CloudPorts,
): Executors {
  const repository = once(() => openOwnRepository(identity, ports));
  return {
    "capture-disk": captureDiskExecutor({ disks, usedExtents, repository, dataDir, now: ports.now }),
    "commit-recovery-point": commitRecoveryPointExecutor({
      repository,
      dataDir,
      agentVersion: version,
      now: ports.now,
    }),
    release: releaseExecutor((conversionId) => capturesDir(dataDir, conversionId)),
  };
}

function targetExecutors({ identity, imagesDir }: AgentOptions, ports: CloudPorts): Executors {
  const { region, bucket, awsEndpoint, agentId } = identity.enrolment;
  const api = agentApi(identity, ports);
  const repository = (conversionId: string): Promise<Repository> =>
    openReadableRepository({
      endpoint: awsEndpoint,
      requestAccess: () => api.openConversionData({ parameters: { id: conversionId } }),
      now: ports.now,
      random: ports.random,
    });
  const own = new S3Store({
    bucket,
    region,
    credentials: ports.credentials,
    now: ports.now,
    ...(awsEndpoint ? { endpoint: awsEndpoint } : {}),
  });
  return {
    materialise: materialiseExecutor({ repository, imagesDir }),
    verify: verifyExecutor({ repository }),
    "boot-check": bootCheckExecutor({
      imagesDir,
      agentId,
      evidence: new RetryingStore(own, { random: ports.random }),
    }),
    release: releaseExecutor((conversionId) => conversionDir(imagesDir, conversionId)),
  };
}

/** Remembers the first success; a failure is tried again by the next caller. */
function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}
