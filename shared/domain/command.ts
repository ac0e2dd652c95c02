/** A command to an agent: what is stored of it, and its life cycle. */
import { z } from "zod";
import type { Failure } from "../errors.ts";
import { type CommandKind, type Command as CommandMessage, commandKinds } from "../protocol/commands.ts";
import { Failure as FailureSchema, Progress, Timestamp } from "../protocol/common.ts";
import { AgentId, CommandId, ConversionId } from "../protocol/ids.ts";
import { AgentEnvironment } from "../protocol/machine.ts";
import { isFinal, move, type Transitions } from "./transitions.ts";

export const CommandState = z.enum(["pending", "running", "succeeded", "failed", "cancelled"]);
export type CommandState = z.infer<typeof CommandState>;

export const commandTransitions: Transitions<CommandState> = {
  // An agent may end a command before its first sign of progress arrives.
  pending: ["running", "succeeded", "failed", "cancelled"],
  running: ["succeeded", "failed", "cancelled"],
  succeeded: [],
  failed: [],
  cancelled: [],
};

const kinds = Object.keys(commandKinds) as [CommandKind, ...CommandKind[]];

export const CommandRecord = z.object({
  id: CommandId,
  conversionId: ConversionId,
  agentId: AgentId,
  kind: z.enum(kinds),
  /** The system of the machine that it is for. */
  environment: AgentEnvironment.default("original"),
  /**
   * What tells commands of one kind apart within a conversion: a disk, an agent's role, where to restart
   * into.
   */
  label: z.string().optional(),
  /** Counts how often the workflow wanted this work done anew, from 1. */
  round: z.int().positive(),
  /** Counts the tries, over all rounds, from 1. */
  attempt: z.int().positive(),
  input: z.record(z.string(), z.unknown()),
  requestedBy: z.string(),
  /** Of the workflow that waits for the result; absent where nobody waits. */
  taskToken: z.string().optional(),
  state: CommandState,
  issuedAt: Timestamp,
  startedAt: Timestamp.optional(),
  endedAt: Timestamp.optional(),
  progress: Progress.optional(),
  /** By the agent's clock: tells a late report from a newer one. */
  progressAt: Timestamp.optional(),
  output: z.unknown().optional(),
  failure: FailureSchema.optional(),
  version: z.int(),
});
export type CommandRecord = z.infer<typeof CommandRecord>;

export interface WantedCommand {
  conversionId: string;
  agentId: string;
  kind: CommandKind;
  environment?: AgentEnvironment | undefined;
  label?: string | undefined;
  round: number;
  input: Record<string, unknown>;
  requestedBy: string;
  taskToken?: string | undefined;
}

/** What to do when the workflow wants a command that it may have wanted before. */
export type Dispatch =
  /**
   * Send it: a new try, or the same one once more for a workflow that lost patience; the agent knows it by
   * its id.
   */
  | { action: "send"; command: CommandRecord }
  /** It is done already, and the workflow did not hear it: answer with its output. */
  | { action: "answer"; command: CommandRecord };

/** `tries`: the conversion's commands so far, any kind. */
export function plan(wanted: WantedCommand, tries: readonly CommandRecord[], now: string): Dispatch {
  const { taskToken, ...rest } = wanted;
  const last = latest(tries.filter((one) => one.kind === wanted.kind && one.label === wanted.label));
  if (last && isOpen(last)) return { action: "send", command: { ...last, taskToken } };
  if (last?.state === "succeeded" && last.round === wanted.round) return { action: "answer", command: last };
  const attempt = (last?.attempt ?? 0) + 1;
  const id = [wanted.conversionId, wanted.kind, ...(wanted.label ? [wanted.label] : []), attempt].join(".");
  return {
    action: "send",
    command: {
      ...rest,
      environment: wanted.environment ?? "original",
      id,
      attempt,
      taskToken,
      state: "pending",
      issuedAt: now,
      version: 0,
    },
  };
}

/** The last try among commands of the same work. */
export function latest(tries: readonly CommandRecord[]): CommandRecord | undefined {
  return tries.reduce<CommandRecord | undefined>(
    (best, one) => (best && best.attempt > one.attempt ? best : one),
    undefined,
  );
}

/** The conversion that a command id belongs to; `undefined` if it is not a command id. */
export function conversionIdOf(commandId: string): string | undefined {
  const dot = commandId.indexOf(".");
  return dot > 0 ? commandId.slice(0, dot) : undefined;
}

export function isOpen(command: CommandRecord): boolean {
  return !isFinal(commandTransitions, command.state);
}

/**
 * Brings a machine that was armed or restarted back to its original system, and tells how it is there. Such
 * work is never called off: whatever becomes of the conversion, the machine is owed it.
 */
export function bringsBack({ kind, input }: Pick<CommandRecord, "kind" | "input">): boolean {
  return kind === "attest-boot-state" || (kind === "reboot" && input.into === "original");
}

/** Alive. A report older than the last one, by the agent's own clock, only proves that it lives. */
export function progressed(
  command: CommandRecord,
  report: { progress?: Progress | undefined; at: string },
  now: string,
): CommandRecord {
  const { progress, at } = report;
  const state = command.state === "running" ? "running" : moved(command, "running");
  const running: CommandRecord = { ...command, state, startedAt: command.startedAt ?? now };
  const late = command.progressAt !== undefined && Date.parse(at) < Date.parse(command.progressAt);
  return progress && !late ? { ...running, progress, progressAt: at } : running;
}

export function succeeded(command: CommandRecord, output: unknown, now: string): CommandRecord {
  const { progress } = command;
  // The agent's last report is from before the end.
  const whole = progress && { ...progress, bytesDone: progress.bytesTotal, remainingSeconds: 0 };
  return { ...command, state: moved(command, "succeeded"), output, progress: whole, endedAt: now };
}

export function failed(command: CommandRecord, failure: Failure, now: string): CommandRecord {
  return { ...command, state: moved(command, "failed"), failure, endedAt: now };
}

export function cancelled(command: CommandRecord, now: string): CommandRecord {
  return { ...command, state: moved(command, "cancelled"), endedAt: now };
}

/** As the agent hears it. */
export function messageOf(command: CommandRecord): CommandMessage {
  const { id, kind, input, environment, requestedBy, issuedAt } = command;
  return { type: "command", commandId: id, kind, input, environment, requestedBy, issuedAt };
}

function moved<S extends CommandState>(command: CommandRecord, to: S): S {
  return move(commandTransitions, `command ${command.id}`, command.state, to);
}
