import type { CommandInput, CommandKind, CommandOutput } from "#shared/protocol/commands.ts";
import type { Progress } from "#shared/protocol/common.ts";

export interface ExecutionContext {
  commandId: string;
  /** Who asked for it, as the control plane says. */
  requestedBy: string;
  /** Aborted when the command is cancelled or the agent stops. */
  signal: AbortSignal;
  /** Can be called at any rate; the runner samples. */
  progress(progress: Progress): void;
  /** The machine is no longer as described: the agent describes it again before it sends the result. */
  machineChanged(): void;
  /**
   * After the command has succeeded: what its result announced does not happen. Reports the error as the
   * command's failure instead.
   */
  retract(error: unknown): Promise<void>;
}

/**
 * Does the work of one kind of command. May run again with the same input after a crash, so it resumes or
 * starts again, and never does the work twice.
 */
export type Executor<K extends CommandKind> = (
  input: CommandInput<K>,
  context: ExecutionContext,
) => Promise<CommandOutput<K>>;

/** What one role can do. */
export type Executors = { [K in CommandKind]?: Executor<K> };
