/** A machine that a conversion restarts is heard from one system or the other: what that ends, and what it gets to do. */
import { type CommandRecord, failed, isOpen, messageOf, succeeded } from "#shared/domain/command.ts";
import { withMachine } from "#shared/domain/conversion.ts";
import { afterConnect, type Heard, isBack, type MachineRecord } from "#shared/domain/source-machine.ts";
import { BootEnvironmentLeftError, BootEnvironmentSilentError, failureOf } from "#shared/errors.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { order, rebootIntoOriginal } from "./order.ts";
import { tellAgent } from "./tell-agent.ts";

/**
 * The agent has connected from this system: notes where the machine is, ends what that decides, and sends all that is pending for the agent
 * there, so that nothing is lost while it was away.
 */
export async function agentConnected(agentId: string, heard: Heard, deps: CommandDeps): Promise<void> {
  const { conversions, agents } = deps.store;
  const pending = await conversions.pendingCommands(agentId);
  const { activeConversionId } = await agents.get(agentId);
  const ids = new Set(pending.map(({ conversionId }) => conversionId));
  if (activeConversionId) ids.add(activeConversionId);
  const decided = new Set<string>();
  for (const id of ids)
    for (const commandId of await arrive(id, agentId, heard, deps)) decided.add(commandId);
  for (const command of pending) {
    if (command.environment !== heard.environment || decided.has(command.id)) continue;
    await tellAgent(deps, agentId, messageOf(command));
  }
}

/** Returns the ids of the commands that are over with this. */
async function arrive(
  conversionId: string,
  agentId: string,
  heard: Heard,
  deps: CommandDeps,
): Promise<string[]> {
  const { conversions } = deps.store;
  const conversion = await conversions.find(conversionId);
  const before = conversion?.machine;
  if (!before || conversion.sourceId !== agentId) return [];
  const now = timestamp(deps.clock);
  await conversions.modify(conversionId, (current) =>
    withMachine(current, (machine) => afterConnect(machine, heard, now)),
  );
  const { commands } = await conversions.withCommands(conversionId);
  const over = commands.filter((command) => isOpen(command) && command.agentId === agentId);
  const ended: string[] = [];
  for (const command of over) {
    const end = endOf(command, before, heard);
    if (!end) continue;
    await settle(command, end, deps);
    ended.push(command.id);
  }
  if (isExpectedBack(commands, heard)) {
    const round = 1 + commands.filter(({ kind, label }) => kind === "reboot" && label === "original").length;
    await order(rebootIntoOriginal(conversion, round), commands, deps);
  }
  return ended;
}

/** Its original system is waited for, and it calls from the boot environment: nothing is left to do there. */
function isExpectedBack(commands: readonly CommandRecord[], { environment }: Heard): boolean {
  return (
    environment === "boot-environment" &&
    commands.some((command) => command.kind === "attest-boot-state" && isOpen(command))
  );
}

type End = "arrived" | BootEnvironmentSilentError | BootEnvironmentLeftError;

/** What it means for an open command that the machine is heard from there; nothing if it goes on. */
function endOf(
  { kind, input, environment }: CommandRecord,
  before: MachineRecord,
  heard: Heard,
): End | undefined {
  const isReboot = kind === "reboot";
  if (heard.environment === "boot-environment") {
    return isReboot && input.into === "boot-environment" ? "arrived" : undefined;
  }
  if (!isBack(before, heard)) return undefined;
  if (isReboot && input.into === "original") return "arrived";
  // What was to lead there, or to be done there, cannot be done any more.
  if (!isReboot && environment === "original") return undefined;
  return before.bootState === "armed"
    ? new BootEnvironmentSilentError("the machine is back without that its boot environment was heard")
    : new BootEnvironmentLeftError();
}

/** Ends a command by what is known of its machine. The workflow hears it first; broken off before the mark, the next connect does both again. */
export async function settle(
  command: CommandRecord,
  end: End,
  { store, steps, clock }: CommandDeps,
): Promise<void> {
  const { taskToken } = command;
  const failure = end === "arrived" ? undefined : failureOf(end);
  if (taskToken) await (failure ? steps.fail(taskToken, failure) : steps.succeed(taskToken, {}));
  const now = timestamp(clock);
  await store.conversions.modifyCommand(command.id, (current) => {
    if (!isOpen(current)) return current;
    return failure ? failed(current, failure, now) : succeeded(current, {}, now);
  });
}
