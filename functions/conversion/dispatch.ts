import {
  bringsBack,
  type CommandRecord,
  messageOf,
  plan,
  undoes,
  type WantedCommand,
} from "#shared/domain/command.ts";
import type { CommandOwner } from "#shared/domain/command-owner.ts";
import { requireRunning } from "#shared/domain/conversion.ts";
import { arming, isAway } from "#shared/domain/whereabouts.ts";
import {
  BootEnvironmentLeftError,
  cancellationOf,
  ForbiddenError,
  failureOf,
  WindowClosedError,
} from "#shared/errors.ts";
import { againIfChanged } from "../store/again-if-changed.ts";
import { endCommand, whyNotThere } from "./agent-connected.ts";
import { cancelCommands, cancelOtherCommands } from "./cancel-commands.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { sendCommand } from "./send-to-agent.ts";

export type DispatchRequest = Omit<WantedCommand, "requestedBy" | "taskToken"> & { taskToken: string };

/**
 * Sends the agent a command whose result completes the workflow step with this token. After a time-out the
 * step can ask again with another token: then the same command is sent again, or, if the agent has finished
 * it in between, the step gets the result at once.
 *
 * A command that brings a machine back first cancels the machine's other commands, and is sent for a
 * cancelled conversion, too. A machine that is already in the requested system is not restarted.
 *
 * Throws `ConversionCancelledError` if the operator cancelled, and `ForbiddenError` if the agent was revoked.
 * If the agent lost its identity by a restart, the step fails.
 */
export async function dispatch(request: DispatchRequest, deps: CommandDeps): Promise<{ commandId?: string }> {
  const { store, steps } = deps;
  const agent = await store.agents.get(request.agentId);
  if (agent.revokedAt)
    throw new ForbiddenError(`${agent.role} ${agent.name} was revoked at ${agent.revokedAt}`);
  if (bringsBack(request)) {
    const { commands } = await store.owners.withCommands(request.ownerId);
    await cancelOtherCommands(commands, deps);
  }
  if (isDone(request, await store.owners.get(request.ownerId))) {
    await steps.succeed(request.taskToken, {});
    return {};
  }
  // A machine that was started by hand has only the system that it enrolled from.
  const decided = await decide({ ...request, environment: request.environment ?? agent.enrolledFrom }, deps);
  if (decided.action === "answer") {
    await steps.succeed(request.taskToken, decided.command.output);
    return { commandId: decided.command.id };
  }
  const { command } = decided;
  // A cancellation marks the owner, then reads the commands. This function writes the command, then reads the
  // mark. So one of the two sees the other.
  const current = await markArming(command, deps);
  if (!mayGoOut(command, current)) {
    await cancelCommands([command], deps);
    throw cancellationOf(request.ownerId);
  }
  const isGone = (await store.agents.get(request.agentId)).restartedAs !== undefined;
  const failure = isGone
    ? failureOf(new BootEnvironmentLeftError())
    : await whyNotThere(command, current, deps);
  if (failure) {
    await endCommand(command, failure, deps);
    return { commandId: command.id };
  }
  await sendCommand(deps, request.agentId, messageOf(command));
  return { commandId: command.id };
}

/**
 * The owner as it is now. A command to arm is recorded there before it is sent, because from then on the
 * machine may be armed.
 */
async function markArming(command: CommandRecord, { store }: CommandDeps): Promise<CommandOwner> {
  const { ownerId, kind } = command;
  if (kind !== "arm-boot") return store.owners.get(ownerId);
  return store.owners.learn(ownerId, (whereabouts, { state }) =>
    state === "running" ? arming(whereabouts) : whereabouts,
  );
}

/**
 * Whether there is nothing to do: the machine is already in the requested system, or its boot state is
 * untouched or confirmed.
 */
function isDone({ kind, input }: DispatchRequest, { whereabouts }: CommandOwner): boolean {
  if (!whereabouts) return false;
  return kind === "reboot"
    ? whereabouts.location === input.into
    : kind === "attest-boot-state" && !isAway(whereabouts);
}

function mayGoOut(command: CommandRecord, { state }: CommandOwner): boolean {
  return state === "running" || (state === "cancelling" && (bringsBack(command) || undoes(command)));
}

/** Stores the command to send, or finds the finished one whose result answers the request. */
async function decide(
  request: DispatchRequest,
  { store, clock }: CommandDeps,
): Promise<{ action: "send" | "answer"; command: CommandRecord }> {
  return againIfChanged(async () => {
    const { owner, commands } = await store.owners.withCommands(request.ownerId);
    const { requestedBy } = bringsBack(request) || undoes(request) ? owner : requireRunning(owner);
    const { deadlineAt } = owner;
    if (!undoes(request) && deadlineAt !== undefined && timestamp(clock) >= deadlineAt)
      throw new WindowClosedError(owner.id, deadlineAt);
    const { action, command } = plan({ ...request, requestedBy }, commands, timestamp(clock));
    if (action === "answer") return { action, command };
    return { action, command: await store.commands.save(command) };
  });
}
