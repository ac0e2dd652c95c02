import { createHash } from "node:crypto";
import { ownerIdOf } from "#shared/domain/command.ts";
import { CommandOutOfTimeError, cancellationOf, failureOf, UnknownCommandError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import { canonicalJson } from "#shared/protocol/canonical-json.ts";
import { type Command, commandKinds, type ToAgent } from "#shared/protocol/commands.ts";
import type { Progress } from "#shared/protocol/common.ts";
import type { AgentEvent } from "#shared/protocol/events.ts";
import { asUnavailable } from "../cloud/unavailable.ts";
import type { CommandJournal, CommandResult, EndedCommand } from "./command-journal.ts";
import type { ExecutionContext, Executors } from "./executor.ts";

/** What a command's work did. */
export interface DoneWork {
  /** See `ExecutionContext`. */
  machineChanged: boolean;
}

export interface CommandRunnerOptions {
  executors: Executors;
  journal: CommandJournal;
  /** Rejects while the link is down. Progress is then dropped; results stay in the journal. */
  publish: (event: AgentEvent) => Promise<void>;
  /**
   * Called when a command's work has succeeded or failed, and before its result is published, so that anyone
   * who acts on the result acts after this.
   */
  onDone?: (command: Command, done: DoneWork) => Promise<void>;
  log: Log;
  now: () => Date;
  progressIntervalMs?: number;
  /** How often a running command reports at least; well within the workflow's heartbeat. */
  heartbeatIntervalMs?: number;
}

type AnyExecutor = (input: unknown, context: ExecutionContext) => Promise<unknown>;

interface Running {
  contentSha256: string;
  abort: AbortController;
  done: Promise<void>;
}

/**
 * Runs commands one after the other, because each may use the whole machine and all the memory it may take.
 * Waiting commands send heartbeats, too. A command runs once, however often it arrives, and its result is
 * published again until the control plane has it.
 */
export class CommandRunner {
  readonly #options: CommandRunnerOptions;
  readonly #running = new Map<string, Running>();
  #turn: Promise<void> = Promise.resolve();

  constructor(options: CommandRunnerOptions) {
    this.#options = options;
  }

  /** Obeys the message, or logs why it cannot. */
  receive(message: ToAgent): void {
    try {
      this.#receive(message);
    } catch (error) {
      const { type, commandId } = message;
      this.#options.log.error("message not handled", { type, commandId, failure: failureOf(error) });
    }
  }

  #receive(message: ToAgent): void {
    switch (message.type) {
      case "acknowledge":
        this.#options.journal.acknowledge(message.commandId);
        return;
      case "cancel":
        this.#cancel(message.commandId);
        return;
      case "command":
        this.#start(message);
    }
  }

  /**
   * Reports that a command was not run because it arrived out of time. Does not report a command that is
   * running or has ended: an old copy, recorded and published again, must not end it. The same command still
   * runs if it arrives in time.
   */
  refuse(command: Command, problem: string): void {
    const { commandId } = command;
    if (this.#running.has(commandId) || this.#options.journal.find(commandId)) return;
    const failure = failureOf(new CommandOutOfTimeError(problem));
    void this.#announce({ type: "command-failed", commandId, at: this.#at(), failure });
  }

  /** Whether a command is running or waiting for its turn. */
  get working(): boolean {
    return this.#running.size > 0;
  }

  /**
   * What the result of a command that has succeeded announced does not happen: reports the error as its
   * failure.
   */
  async retract(commandId: string, error: unknown): Promise<void> {
    const failure = failureOf(asUnavailable(error));
    this.#options.log.error("command retracted", { commandId, failure });
    const result: CommandResult = { type: "command-failed", commandId, at: this.#at(), failure };
    this.#options.journal.replace(result);
    await this.#announce(result);
  }

  /** Aborts what runs, without a result; after the next start the control plane sends it again. */
  async stop(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { abort } of running) abort.abort();
    await Promise.all(running.map(({ done }) => done));
  }

  /** The command never runs, even if it arrives late or again. No workflow waits for its result. */
  #cancel(commandId: string): void {
    const { journal } = this.#options;
    const failure = failureOf(cancellationOf(ownerIdOf(commandId) ?? commandId));
    journal.record({ result: { type: "command-failed", commandId, at: this.#at(), failure } });
    journal.acknowledge(commandId);
    this.#running.get(commandId)?.abort.abort();
  }

  #start(command: Command): void {
    const { commandId } = command;
    const contentSha256 = createHash("sha256").update(canonicalJson(command)).digest("hex");
    const running = this.#running.get(commandId);
    const ended = running ? undefined : this.#options.journal.find(commandId);
    const known = (running ?? ended)?.contentSha256;
    if (known !== undefined && known !== contentSha256) {
      this.#options.log.error("command refused", { commandId, problem: "another command had this id" });
      return;
    }
    if (ended) void this.#announce(ended.result);
    if (running || ended) return;
    const abort = new AbortController();
    const before = this.#turn;
    const done = this.#run(command, contentSha256, abort.signal, before).finally(() =>
      this.#running.delete(commandId),
    );
    this.#turn = done;
    this.#running.set(commandId, { contentSha256, abort, done });
  }

  async #run(
    command: Command,
    contentSha256: string,
    signal: AbortSignal,
    turn: Promise<void>,
  ): Promise<void> {
    const { log } = this.#options;
    const finish = (result: CommandResult) => this.#finish({ result, contentSha256 });
    const sampler = new ProgressSampler(this.#options, command.commandId);
    try {
      await turn;
      if (signal.aborted) return;
      log.info("command started", {
        commandId: command.commandId,
        kind: command.kind,
        requestedBy: command.requestedBy,
      });
      const done: DoneWork = { machineChanged: false };
      const output = await this.#execute(command, {
        commandId: command.commandId,
        requestedBy: command.requestedBy,
        signal,
        progress: (progress) => sampler.take(progress),
        machineChanged: () => {
          done.machineChanged = true;
        },
        retract: (error) => this.retract(command.commandId, error),
      }).finally(() => (signal.aborted ? undefined : this.#options.onDone?.(command, done)));
      if (signal.aborted) return;
      log.info("command succeeded", { commandId: command.commandId });
      await finish({ type: "command-succeeded", commandId: command.commandId, at: this.#at(), output });
    } catch (error) {
      if (signal.aborted) {
        log.info("command stopped", { commandId: command.commandId });
        return;
      }
      const failure = failureOf(asUnavailable(error));
      log.error("command failed", {
        commandId: command.commandId,
        failure,
        stack: error instanceof Error ? error.stack : undefined,
      });
      await finish({ type: "command-failed", commandId: command.commandId, at: this.#at(), failure });
    } finally {
      sampler.stop();
    }
  }

  async #execute(command: Command, context: ExecutionContext): Promise<unknown> {
    const kind = command.kind as keyof typeof commandKinds;
    const known = Object.hasOwn(commandKinds, kind) && Object.hasOwn(this.#options.executors, kind);
    const executor = known && (this.#options.executors[kind] as AnyExecutor | undefined);
    if (!executor) throw new UnknownCommandError(`this agent cannot run the command ${command.kind}`);
    const input = commandKinds[kind].input.safeParse(command.input);
    if (!input.success) {
      const { issues } = input.error;
      const where = issues.slice(0, 5).map(({ path, message }) => `${path.join(".")}: ${message}`);
      throw new UnknownCommandError(`the input of ${command.kind} is not valid: ${where.join("; ")}`);
    }
    return executor(input.data, context);
  }

  async #finish(ended: EndedCommand): Promise<void> {
    this.#options.journal.record(ended);
    await this.#announce(ended.result);
  }

  /** A result that cannot be sent stays in the journal, and is sent when the command arrives again. */
  async #announce(result: CommandResult): Promise<void> {
    try {
      await this.#options.publish(result);
    } catch (error) {
      this.#options.log.warn("keeping the result until the link is up", {
        commandId: result.commandId,
        error: String(error),
      });
    }
  }

  #at(): string {
    return this.#options.now().toISOString();
  }
}

const PROGRESS_INTERVAL_MS = 2_000;
const HEARTBEAT_INTERVAL_MS = 15_000;

/** Passes on the newest progress at most every two seconds, and a heartbeat when there is none. */
class ProgressSampler {
  readonly #options: CommandRunnerOptions;
  readonly #commandId: string;
  readonly #timer: NodeJS.Timeout;
  #newest: Progress | undefined;
  #sentAt = 0;

  constructor(options: CommandRunnerOptions, commandId: string) {
    this.#options = options;
    this.#commandId = commandId;
    this.#timer = setInterval(() => this.#tick(), options.progressIntervalMs ?? PROGRESS_INTERVAL_MS);
    this.#timer.unref();
    this.#send();
  }

  take(progress: Progress): void {
    this.#newest = progress;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const quietMs = this.#options.now().getTime() - this.#sentAt;
    if (this.#newest || quietMs >= (this.#options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS)) this.#send();
  }

  #send(): void {
    const progress = this.#newest;
    this.#newest = undefined;
    this.#sentAt = this.#options.now().getTime();
    const at = this.#options.now().toISOString();
    this.#options
      .publish({
        type: "command-progressed",
        commandId: this.#commandId,
        at,
        ...(progress ? { progress } : {}),
      })
      .catch((error: unknown) =>
        this.#options.log.info("could not send progress", {
          commandId: this.#commandId,
          error: String(error),
        }),
      );
  }
}
