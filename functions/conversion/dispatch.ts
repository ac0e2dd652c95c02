import {
  bringsBack,
  type CommandRecord,
  messageOf,
  plan,
  type WantedCommand,
} from "#shared/domain/command.ts";
import { type ConversionRecord, requireRunning, withMachine } from "#shared/domain/conversion.ts";
import { arming, isAway } from "#shared/domain/source-machine.ts";
import { BootEnvironmentLeftError, ConversionCancelledError, ForbiddenError } from "#shared/errors.ts";
import { againIfChanged } from "../store/again-if-changed.ts";
import { callOffAllElse, cancelCommands } from "./cancel-commands.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { settle } from "./environment.ts";
import { commandAgent } from "./tell-agent.ts";

export type DispatchRequest = Omit<WantedCommand, "requestedBy" | "taskToken"> & { taskToken: string };

/**
 * Sees to it that the agent does the work and that the workflow step with this token hears of it. The step
 * may ask again, with another token, after it has lost patience: the same command is then sent again, and one
 * that was finished in between is answered at once.
 *
 * What brings a machine back calls off all else first, and is done for a cancelled conversion too. A machine
 * that is where it is to be restarted into is not restarted.
 *
 * Throws `ConversionCancelledError` if the operator cancelled, `ForbiddenError` if the agent was revoked. An
 * agent whose identity went with a restart fails the step.
 */
export async function dispatch(request: DispatchRequest, deps: CommandDeps): Promise<{ commandId?: string }> {
  const { store, steps } = deps;
  const agent = await store.agents.get(request.agentId);
  if (agent.revokedAt)
    throw new ForbiddenError(`${agent.role} ${agent.name} was revoked at ${agent.revokedAt}`);
  if (bringsBack(request)) {
    const { commands } = await store.conversions.withCommands(request.conversionId);
    await callOffAllElse(commands, deps);
  }
  const conversion = await store.conversions.get(request.conversionId);
  if (isDone(request, conversion)) {
    await steps.succeed(request.taskToken, {});
    return {};
  }
  // A machine that was started by hand has no other system that could do it.
  const decided = await decide({ ...request, environment: request.environment ?? agent.enrolledFrom }, deps);
  if (decided.action === "answer") {
    await steps.succeed(request.taskToken, decided.command.output);
    return { commandId: decided.command.id };
  }
  const { command } = decided;
  // A cancellation marks the conversion first and looks for commands then; we do it the other way round, so
  // one of us sees the other.
  if (!mayGoOut(command, await markArming(command, deps))) {
    await cancelCommands([command], deps);
    throw new ConversionCancelledError(request.conversionId);
  }
  if ((await store.agents.get(request.agentId)).restartedAs) {
    await settle(command, new BootEnvironmentLeftError(), deps);
    return { commandId: command.id };
  }
  await commandAgent(deps, request.agentId, messageOf(command));
  return { commandId: command.id };
}

/**
 * The conversion as it is now; a command to arm is noted there before it goes out, for from then on it may be
 * done.
 */
async function markArming(command: CommandRecord, { store }: CommandDeps): Promise<ConversionRecord> {
  const { conversionId, kind } = command;
  if (kind !== "arm-boot") return store.conversions.get(conversionId);
  return store.conversions.modify(conversionId, (current) =>
    current.state === "running" ? withMachine(current, arming) : current,
  );
}

/**
 * A machine is not restarted into where it is, nor asked for a boot state that nobody touched or that is
 * confirmed.
 */
function isDone({ kind, input }: DispatchRequest, { machine }: ConversionRecord): boolean {
  if (!machine) return false;
  return kind === "reboot" ? machine.is === input.into : kind === "attest-boot-state" && !isAway(machine);
}

function mayGoOut(command: CommandRecord, { state }: ConversionRecord): boolean {
  return state === "running" || (state === "cancelling" && bringsBack(command));
}

/** Writes down what is to be done, unless it is done. */
async function decide(
  request: DispatchRequest,
  { store, clock }: CommandDeps,
): Promise<{ action: "send" | "answer"; command: CommandRecord }> {
  return againIfChanged(async () => {
    const { conversion, commands } = await store.conversions.withCommands(request.conversionId);
    const { requestedBy } = bringsBack(request) ? conversion : requireRunning(conversion);
    const { action, command } = plan({ ...request, requestedBy }, commands, timestamp(clock));
    if (action === "answer") return { action, command };
    return { action, command: await store.conversions.saveCommand(command) };
  });
}
