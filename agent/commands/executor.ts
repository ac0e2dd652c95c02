import type { CommandInput, CommandKind, CommandOutput } from "#shared/protocol/commands.ts";
import type { Progress } from "#shared/protocol/common.ts";

export interface ExecutionContext {
  commandId: string;
  /** Aborted when the command is cancelled or the agent stops. */
  signal: AbortSignal;
  /** As often as it likes; the runner samples. */
  progress(progress: Progress): void;
}

/**
 * Does the work of one kind of command. May run again with the same input after a crash, so it resumes or
 * starts over, never doubles.
 */
export type Executor<K extends CommandKind> = (
  input: CommandInput<K>,
  context: ExecutionContext,
) => Promise<CommandOutput<K>>;

/** What one role can do. */
export type Executors = { [K in CommandKind]?: Executor<K> };
