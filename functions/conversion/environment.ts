/**
 * A machine that a conversion restarts is heard from one system or the other: what that ends, and what it
 * gets to do.
 */
import type { AgentRecord } from "#shared/domain/agent.ts";
import { type CommandRecord, failed, isOpen, messageOf, succeeded } from "#shared/domain/command.ts";
import { type ConversionRecord, hasEnded, withMachine } from "#shared/domain/conversion.ts";
import {
  afterConnect,
  type Heard,
  isBack,
  type MachineRecord,
  mayHaveLeft,
} from "#shared/domain/source-machine.ts";
import { BootEnvironmentLeftError, BootEnvironmentSilentError, failureOf } from "#shared/errors.ts";
import type { ConversionType } from "#shared/protocol/conversion-types.ts";
import type { Workflow } from "../ports.ts";
import { callOffAllElse } from "./cancel-commands.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { order, rebootIntoOriginal } from "./order.ts";
import { tellAgent } from "./tell-agent.ts";

export interface ConnectDeps extends CommandDeps {
  workflows: Readonly<Record<ConversionType, Pick<Workflow, "isRunning">>>;
}

/**
 * The agent has connected from this system: notes where the machine is, ends what that decides, sends it home
 * if nobody wants it there, and sends all that is pending for the agent there, so that nothing is lost while
 * it was away.
 */
export async function agentConnected(agentId: string, heard: Heard, deps: ConnectDeps): Promise<void> {
  const { conversions, agents } = deps.store;
  const pending = await conversions.pendingCommands(agentId);
  const agent = await agents.get(agentId);
  const left = await whyItLeft(agent, heard, deps);
  const ids = new Set(pending.map(({ conversionId }) => conversionId));
  if (agent.activeConversionId) ids.add(agent.activeConversionId);
  if (left) ids.add(left.id);
  for (const id of ids) await arrive(id, agentId, heard, deps);
  if (left) await sendHome(left.id, deps);
  for (const { id, environment } of pending) {
    if (environment !== heard.environment) continue;
    // It may be over by now, or have been when the index still showed it.
    const command = await conversions.findCommand(id);
    if (command && isOpen(command)) await tellAgent(deps, agentId, messageOf(command));
  }
}

/**
 * The conversion that made it start its boot environment: the last one that could. A machine that was started
 * by hand waits there on purpose.
 */
async function whyItLeft(
  { id, enrolledFrom }: AgentRecord,
  { environment }: Heard,
  { store }: CommandDeps,
): Promise<ConversionRecord | undefined> {
  if (environment !== "boot-environment" || enrolledFrom === "boot-environment") return undefined;
  return store.conversions.latestRestarting(id);
}

async function arrive(conversionId: string, agentId: string, heard: Heard, deps: CommandDeps): Promise<void> {
  const { conversions } = deps.store;
  const conversion = await conversions.find(conversionId);
  const before = conversion?.machine;
  if (!before || conversion.sourceId !== agentId) return;
  const now = timestamp(deps.clock);
  await conversions.modify(conversionId, (current) =>
    withMachine(current, (machine) => afterConnect(machine, heard, now)),
  );
  const { commands } = await conversions.withCommands(conversionId);
  for (const command of commands.filter((one) => isOpen(one) && one.agentId === agentId)) {
    const end = endOf(command, before, heard);
    if (end) await settle(command, end, deps);
  }
}

/**
 * Out of the boot environment, unless it has something to do there; else it would stay there for as long as
 * it is heard.
 */
async function sendHome(conversionId: string, deps: ConnectDeps): Promise<void> {
  const { conversion, commands } = await deps.store.conversions.withCommands(conversionId);
  if (await isWantedThere(conversion, commands, deps)) return;
  // What a conversion that has not armed it yet asks of its own system is asked there.
  await callOffAllElse(
    commands.filter(({ environment }) => environment === "boot-environment"),
    deps,
  );
  // Not a round that a step of the workflow may ask for: it would take this restart for its own.
  const round = 2 + commands.filter(({ kind, label }) => kind === "reboot" && label === "original").length;
  await order(rebootIntoOriginal(conversion, round), commands, deps);
}

/**
 * Its conversion runs, has armed it, and does not wait for the original system yet. The workflow may have
 * been stopped without that we heard of it.
 */
async function isWantedThere(
  conversion: ConversionRecord,
  commands: readonly CommandRecord[],
  { workflows }: ConnectDeps,
): Promise<boolean> {
  const { id, type, machine } = conversion;
  if (hasEnded(conversion) || !machine || !mayHaveLeft(machine)) return false;
  if (commands.some((command) => command.kind === "attest-boot-state" && isOpen(command))) return false;
  return workflows[type].isRunning(id);
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

/**
 * Ends a command by what is known of its machine. The workflow hears it first; broken off before the mark,
 * the next connect does both again.
 */
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
