/** A command to an agent: its record and its life cycle. */
import * as z from "zod";
import type { Failure } from "../errors.ts";
import { type CommandKind, type Command as CommandMessage, commandKinds } from "../protocol/commands.ts";
import { Failure as FailureSchema, Progress, Timestamp } from "../protocol/common.ts";
import { AgentId, CommandId, OwnerId } from "../protocol/ids.ts";
import { AgentSystem } from "../protocol/machine.ts";
import { isFinal, move, type Transitions } from "./transitions.ts";

export const CommandState = z.enum(["pending", "running", "succeeded", "failed", "cancelled"]);
export type CommandState = z.infer<typeof CommandState>;

export const commandTransitions: Transitions<CommandState> = {
  // An agent can finish a command before its first progress report arrives.
  pending: ["running", "succeeded", "failed", "cancelled"],
  running: ["succeeded", "failed", "cancelled"],
  succeeded: [],
  failed: [],
  cancelled: [],
};

const kinds = Object.keys(commandKinds) as [CommandKind, ...CommandKind[]];

export const CommandRecord = z.object({
  id: CommandId,
  ownerId: OwnerId,
  agentId: AgentId,
  kind: z.enum(kinds),
  /** The system that must run on the machine for the agent to carry it out. */
  environment: AgentSystem.default("original"),
  /**
   * Tells commands of one kind and one owner apart: a disk, an agent's role, or the system to restart into.
   */
  label: z.string().optional(),
  /** How many times the workflow has asked for this work, counted from 1. */
  round: z.int().positive(),
  /** The number of this try, counted over all rounds from 1. */
  attempt: z.int().positive(),
  input: z.record(z.string(), z.unknown()),
  requestedBy: z.string(),
  /** The task token of the workflow that waits for the result; absent if no workflow waits. */
  taskToken: z.string().optional(),
  state: CommandState,
  issuedAt: Timestamp,
  startedAt: Timestamp.optional(),
  endedAt: Timestamp.optional(),
  progress: Progress.optional(),
  /** By the agent's clock. Reports older than this one are ignored. */
  progressAt: Timestamp.optional(),
  output: z.unknown().optional(),
  failure: FailureSchema.optional(),
  /** When the agent was last told that the command is over, and what it had sent. */
  answered: z.object({ at: Timestamp, to: z.enum(["progress", "result"]) }).optional(),
  version: z.int(),
});
export type CommandRecord = z.infer<typeof CommandRecord>;

export interface WantedCommand {
  ownerId: string;
  agentId: string;
  kind: CommandKind;
  environment?: AgentSystem | undefined;
  label?: string | undefined;
  round: number;
  input: Record<string, unknown>;
  requestedBy: string;
  taskToken?: string | undefined;
}

/** What to do when the workflow asks for a command, perhaps not for the first time. */
export type Dispatch =
  /**
   * Send it: a new try, or the open one again because the workflow stopped waiting for it. The agent
   * recognises a repeated command by its id.
   */
  | { action: "send"; command: CommandRecord }
  /** It has already succeeded, but the workflow missed the result: answer with its output. */
  | { action: "answer"; command: CommandRecord };

/** `tries`: all commands of the owner so far, of any kind. */
export function plan(wanted: WantedCommand, tries: readonly CommandRecord[], now: string): Dispatch {
  const { taskToken, ...rest } = wanted;
  const last = latest(tries.filter((one) => one.kind === wanted.kind && one.label === wanted.label));
  if (last && isOpen(last)) return { action: "send", command: { ...last, taskToken } };
  if (last?.state === "succeeded" && last.round === wanted.round) return { action: "answer", command: last };
  const attempt = (last?.attempt ?? 0) + 1;
  const id = [wanted.ownerId, wanted.kind, ...(wanted.label ? [wanted.label] : []), attempt].join(".");
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

/** The last try among commands for the same work. */
export function latest(tries: readonly CommandRecord[]): CommandRecord | undefined {
  return tries.reduce<CommandRecord | undefined>(
    (best, one) => (best && best.attempt > one.attempt ? best : one),
    undefined,
  );
}

/** The conversion or run that a command id belongs to; `undefined` if it is not a command id. */
export function ownerIdOf(commandId: string): string | undefined {
  const dot = commandId.indexOf(".");
  return dot > 0 ? commandId.slice(0, dot) : undefined;
}

export function isOpen(command: CommandRecord): boolean {
  return !isFinal(commandTransitions, command.state);
}

/**
 * Whether the command brings an armed or restarted machine back to its original system, or reports on its
 * boot state there. Such a command is never cancelled: the control plane must still send it even if the
 * conversion fails or is cancelled.
 */
export function bringsBack({ kind, input }: Pick<CommandRecord, "kind" | "input">): boolean {
  return kind === "attest-boot-state" || (kind === "reboot" && input.into === "original");
}

/**
 * Whether the command undoes what a cutover did: it lets the source serve again, or ends the machine in its
 * place. It is sent although the cutover is being rolled back.
 */
export function undoes({ kind, input }: Pick<CommandRecord, "kind" | "input">): boolean {
  if (kind === "set-fence") return input.isUp === false;
  return kind === "remove-machine" || (kind === "power-machine" && input.power === "off");
}

/**
 * The command, running, with the reported progress. A report older than the last one, by the agent's clock,
 * only shows that the agent is alive.
 */
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
  // The agent's last report was sent before the work was complete.
  const whole = progress && { ...progress, bytesDone: progress.bytesTotal, remainingSeconds: 0 };
  return { ...command, state: moved(command, "succeeded"), output, progress: whole, endedAt: now };
}

export function failed(command: CommandRecord, failure: Failure, now: string): CommandRecord {
  return { ...command, state: moved(command, "failed"), failure, endedAt: now };
}

/**
 * Whether the agent may still say that a command failed which it had reported as done: a restart and a
 * switching off are announced before they happen.
 */
export function isRetractable({ kind, state, input }: CommandRecord): boolean {
  if (state !== "succeeded") return false;
  return kind === "switch-off" || (kind === "reboot" && input.into === "boot-environment");
}

/** What it announced did not happen. */
export function retracted(command: CommandRecord, failure: Failure, now: string): CommandRecord {
  return { ...command, state: "failed", output: undefined, failure, endedAt: now };
}

export function cancelled(command: CommandRecord, now: string): CommandRecord {
  return { ...command, state: moved(command, "cancelled"), endedAt: now };
}

const ANSWER_EVERY_MS = 60_000;

/**
 * Whether the control plane answers an agent that sent this about a command that is over. Each answer costs a
 * signature and a message, and an agent can send as often as it likes. A result is answered even if progress
 * just was: a machine that missed the cancellation of its restart would restart.
 */
export function isAnswerDue({ answered }: CommandRecord, to: "progress" | "result", nowMs: number): boolean {
  if (!answered || nowMs - Date.parse(answered.at) >= ANSWER_EVERY_MS) return true;
  return to === "result" && answered.to === "progress";
}

/** The command as the agent receives it. */
export function messageOf(command: CommandRecord): CommandMessage {
  const { id, kind, input, environment, requestedBy, issuedAt } = command;
  return { type: "command", commandId: id, kind, input, environment, requestedBy, issuedAt };
}

function moved<S extends CommandState>(command: CommandRecord, to: S): S {
  return move(commandTransitions, `command ${command.id}`, command.state, to);
}
