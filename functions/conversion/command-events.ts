/**
 * Agents' events about their commands. Each event can arrive twice, late, out of order, or from an agent to
 * which the command does not belong.
 */
import {
  type CommandRecord,
  failed,
  isAnswerDue,
  isOpen,
  isRetractable,
  progressed,
  retracted,
  succeeded,
} from "#shared/domain/command.ts";
import { findCaptureProblem } from "#shared/domain/conversion.ts";
import { CapturedDiskUnexpectedError, type Failure, failureOf, UnknownCommandError } from "#shared/errors.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import type { AgentEvent } from "#shared/protocol/events.ts";
import { reportFence } from "../alarm/fence-failed.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { clearIfBack } from "../alarm/source-away.ts";
import { reportRemoval } from "../cutover/removal.ts";
import { reportSwitchOff } from "../cutover/source-off.ts";
import { refuse } from "../ingest/refuse.ts";
import { againIfChanged } from "../store/again-if-changed.ts";
import { restartRetracted } from "./agent-connected.ts";
import { type Outcome, recordOutcome } from "./command-outcome.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { sendToAgent } from "./send-to-agent.ts";

type EventOf<T extends AgentEvent["type"]> = Extract<AgentEvent, { type: T }>;

/** The agent is working on the command: keeps the workflow's step alive and records the progress. */
export async function commandProgressed(
  agentId: string,
  event: EventOf<"command-progressed">,
  deps: CommandDeps,
): Promise<void> {
  const { store, steps, clock } = deps;
  const command = await ownCommand(agentId, event, deps);
  if (!command) return;
  // The agent missed the cancellation.
  if (command.state === "cancelled") await answer(command, "progress", deps);
  if (!isOpen(command)) return;
  if (command.taskToken) await steps.keepAlive(command.taskToken);
  const now = timestamp(clock);
  await store.commands.modify(command.id, (current) =>
    isOpen(current) ? progressed(current, event, now) : current,
  );
}

/**
 * The agent has finished the command. The workflow gets the result first, and the command is marked
 * afterwards: after an interruption, the event arrives again and finds the command open, and the workflow
 * ignores the second result. Last, the agent gets an acknowledgement and may forget the result. If the
 * command was cancelled, the agent gets a cancellation instead, because an acknowledgement of `reboot` makes
 * it restart the machine.
 */
export async function commandEnded(
  agentId: string,
  event: EventOf<"command-succeeded" | "command-failed">,
  deps: CommandDeps & ReportDeps,
): Promise<void> {
  // If the step timed out in between, it waits with a new token, which needs the result, too.
  const command = await againIfChanged(async () => {
    const current = await ownCommand(agentId, event, deps);
    if (current && isRetractable(current) && event.type === "command-failed")
      return retract(current, event.failure, deps);
    if (!current || !isOpen(current)) return current;
    return deps.store.commands.save(await endedCommand(current, event, deps));
  });
  // Before the answer, because the agent repeats the event until it has one.
  if (command?.kind === "attest-boot-state") await clearIfBack(command.ownerId, deps);
  if (command?.kind === "set-fence") await reportFence(command, deps);
  if (command?.kind === "switch-off") await reportSwitchOff(command, deps);
  if (command?.kind === "remove-machine") await reportRemoval(command, deps);
  if (command) await answer(command, "result", deps);
}

/** What the command announced does not happen. If this is broken off in between, the event comes again. */
async function retract(command: CommandRecord, failure: Failure, deps: CommandDeps): Promise<CommandRecord> {
  if (command.kind === "reboot") await restartRetracted(command, failure, deps);
  return deps.store.commands.save(retracted(command, failure, timestamp(deps.clock)));
}

/** Answers that the command is over, unless it just did. Recorded afterwards, so that no answer is lost. */
async function answer(command: CommandRecord, to: "progress" | "result", deps: CommandDeps): Promise<void> {
  const { store, clock } = deps;
  const { id, agentId, state } = command;
  if (!isAnswerDue(command, to, clock.now())) return;
  await sendToAgent(deps, agentId, { type: state === "cancelled" ? "cancel" : "acknowledge", commandId: id });
  const answered = { at: timestamp(clock), to };
  await store.commands.modify(id, (current) => ({ ...current, answered }));
}

async function endedCommand(
  command: CommandRecord,
  event: EventOf<"command-succeeded" | "command-failed">,
  deps: CommandDeps,
): Promise<CommandRecord> {
  const { steps, clock } = deps;
  const result = await recordOutcome(
    command,
    await asPreflighted(command, resultOf(command, event), deps),
    deps,
  );
  const { taskToken } = command;
  if ("failure" in result) {
    if (taskToken) await steps.fail(taskToken, result.failure);
    return failed(command, result.failure, timestamp(clock));
  }
  if (taskToken) await steps.succeed(taskToken, result.output);
  return succeeded(command, result.output, timestamp(clock));
}

/** The command's outcome. An output that does not match the schema of its kind is a failure. */
function resultOf(command: CommandRecord, event: EventOf<"command-succeeded" | "command-failed">): Outcome {
  if (event.type === "command-failed") return { failure: event.failure };
  const output = commandKinds[command.kind].output.safeParse(event.output);
  const key = output.success ? foreignKeyIn(output.data, command.agentId) : undefined;
  if (output.success && key === undefined) return { output: output.data };
  const issues = output.error?.issues.slice(0, 5) ?? [];
  const wrong = key
    ? `the key ${key}, which is not below its own prefix`
    : issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
  return { failure: failureOf(new UnknownCommandError(`the agent answered ${command.kind} with ${wrong}`)) };
}

/** The outcome, but a failure if the disks of a capture are not those that preflight checked. */
async function asPreflighted(
  command: CommandRecord,
  outcome: Outcome,
  { store }: CommandDeps,
): Promise<Outcome> {
  const disks = "failure" in outcome ? undefined : capturedDisks(command, outcome.output);
  if (!disks) return outcome;
  const problem = findCaptureProblem(await store.owners.get(command.ownerId), disks.wanted, disks.captured);
  return problem === undefined ? outcome : { failure: failureOf(new CapturedDiskUnexpectedError(problem)) };
}

/** The disks that the command asked for and those of its output; `undefined` if it captures none. */
function capturedDisks({ kind, input, label = "" }: CommandRecord, output: unknown) {
  if (kind === "capture-disk")
    return { wanted: [label], captured: [commandKinds[kind].output.parse(output).disk] };
  if (kind !== "take-recovery-point") return undefined;
  const { disks: wanted } = commandKinds[kind].input.parse(input);
  return { wanted, captured: commandKinds[kind].output.parse(output).disks };
}

/** A key in the output that this agent cannot have written; `undefined` if there is none. */
function foreignKeyIn(output: object, agentId: string): string | undefined {
  const own = [`sources/${agentId}/`, `evidence/${agentId}/`];
  return Object.entries(output).flatMap(([name, value]) =>
    name.endsWith("Key") && typeof value === "string" && !own.some((prefix) => value.startsWith(prefix))
      ? [value]
      : [],
  )[0];
}

/** The command, if it belongs to this agent in this system of its machine. Otherwise refuses the event. */
async function ownCommand(
  agentId: string,
  { commandId, type, environment = "original" }: EventOf<`command-${string}` & AgentEvent["type"]>,
  deps: CommandDeps,
): Promise<CommandRecord | undefined> {
  const command = await deps.store.commands.find(commandId);
  if (command?.agentId === agentId && command.environment === environment) return command;
  const own = command?.agentId === agentId;
  const reason = own
    ? "a command for the other environment"
    : command
      ? "another agent's command"
      : "unknown command";
  await refuse(agentId, { reason, commandId, type, environment }, deps);
  return undefined;
}
