/**
 * An agent has connected. If a conversion or a cutover restarts its machine, the system that it runs in
 * decides which commands have ended and which come next.
 */
import type { AgentRecord } from "#shared/domain/agent.ts";
import {
  bringsBack,
  type CommandRecord,
  failed,
  isOpen,
  latest,
  messageOf,
  succeeded,
} from "#shared/domain/command.ts";
import type { CommandOwner } from "#shared/domain/command-owner.ts";
import {
  afterConnect,
  afterRetraction,
  type Contact,
  isBack,
  mayHaveLeft,
  type WhereaboutsRecord,
} from "#shared/domain/whereabouts.ts";
import {
  BootEnvironmentLeftError,
  BootEnvironmentSilentError,
  type Failure,
  failureOf,
} from "#shared/errors.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { clearIfBack } from "../alarm/source-away.ts";
import { cutoverUnderWay } from "../cutover/cutover-under-way.ts";
import type { Workflow } from "../ports.ts";
import type { Store } from "../store/store.ts";
import { cancelOtherCommands } from "./cancel-commands.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { order, rebootIntoOriginal } from "./order.ts";
import { sendToAgent } from "./send-to-agent.ts";

export interface ConnectDeps extends CommandDeps, ReportDeps {
  store: Store;
  workflow: Pick<Workflow, "isRunning">;
}

/**
 * The agent has connected from this system. Records where the machine is, ends the commands that this
 * decides, restarts the machine into its original system if no conversion needs it in the boot environment,
 * and sends the agent every command that is pending for this system.
 */
export async function agentConnected(agentId: string, contact: Contact, deps: ConnectDeps): Promise<void> {
  const { commands, agents } = deps.store;
  const pending = await commands.pending(agentId);
  const agent = await agents.get(agentId);
  const restarting = await restarterOf(agent, contact, deps);
  const ids = new Set(pending.map(({ ownerId }) => ownerId));
  const cutoverId = await cutoverUnderWay(agent.planId, deps.store);
  for (const id of [agent.heldBy, cutoverId, restarting?.id]) if (id !== undefined) ids.add(id);
  for (const id of ids) await recordArrival(id, agentId, contact, deps);
  if (restarting) await returnToOriginal(restarting.id, deps);
  for (const { id, environment } of pending) {
    if (environment !== contact.environment) continue;
    // The index can be behind, or the command may have ended in the meantime.
    const command = await commands.find(id);
    if (command && isOpen(command)) await sendToAgent(deps, agentId, messageOf(command));
  }
  for (const id of [...ids, ...(await openAlarmsOf(agentId, deps))]) await clearIfBack(id, deps);
}

/** What has an alarm that no earlier event of this agent could clear, or whose notice did not go out. */
async function openAlarmsOf(agentId: string, { store }: ConnectDeps): Promise<string[]> {
  const { items } = await store.alarms.page({ limit: 200 });
  return items
    .filter(({ kind, sourceId }) => kind === "source-away" && sourceId === agentId)
    .filter(({ state, unsent }) => state === "open" || unsent.length > 0)
    .map(({ subject }) => subject);
}

/**
 * The conversion or cutover that made the machine start its boot environment: the last one that could have.
 * Returns `undefined` for a machine that was started by hand, which stays there on purpose.
 */
async function restarterOf(
  { id, enrolledFrom }: AgentRecord,
  { environment }: Contact,
  { store }: CommandDeps,
): Promise<CommandOwner | undefined> {
  if (environment !== "boot-environment" || enrolledFrom === "boot-environment") return undefined;
  return store.owners.latestRestarting(id);
}

async function recordArrival(
  ownerId: string,
  agentId: string,
  contact: Contact,
  deps: CommandDeps,
): Promise<void> {
  const { owners } = deps.store;
  const owner = await owners.find(ownerId);
  const before = owner && (await whereaboutsFor(owner, deps));
  if (!before || owner.sourceId !== agentId) return;
  const now = timestamp(deps.clock);
  await owners.learn(ownerId, (whereabouts) => afterConnect(whereabouts, contact, now));
  const { commands } = await owners.withCommands(ownerId);
  for (const command of commands.filter((one) => isOpen(one) && one.agentId === agentId)) {
    const end = endOf(command, before, contact);
    if (end) await endCommand(command, end, deps);
  }
  // Its copy is not what the source has any more: whichever agent it waits for now, it is rolled back.
  const isInVain = owner.deadlineAt !== undefined && mayHaveLeft(before) && isBack(before, contact);
  for (const { taskToken } of isInVain ? commands.filter(isOpen) : [])
    if (taskToken) await deps.steps.fail(taskToken, notThere(before));
}

/** Where the machine is by the owner that restarts it, which is another one for a run of a cutover. */
async function whereaboutsFor(
  { whereabouts, restartedBy }: CommandOwner,
  { store }: CommandDeps,
): Promise<WhereaboutsRecord | undefined> {
  if (restartedBy === undefined) return whereabouts;
  return (await store.owners.find(restartedBy))?.whereabouts;
}

/**
 * Restarts the machine out of the boot environment, unless it has work there. Otherwise it would stay there
 * as long as it reaches the control plane.
 */
async function returnToOriginal(ownerId: string, deps: ConnectDeps): Promise<void> {
  const { owner, commands } = await deps.store.owners.withCommands(ownerId);
  if (await isWantedThere(owner, commands, deps)) return;
  // Commands for the original system stay open: a conversion that has not armed the machine sent them.
  await cancelOtherCommands(
    commands.filter(({ environment }) => environment === "boot-environment"),
    deps,
  );
  // The workflow's own steps use lower rounds, so none of them mistakes this restart for its own.
  const round = 2 + commands.filter(({ kind, label }) => kind === "reboot" && label === "original").length;
  await order(rebootIntoOriginal(owner, round), commands, deps);
}

/**
 * Whether its owner is running, has armed it, and does not wait for the original system yet. Asks the
 * workflow of a conversion, too, because an operator can stop it on AWS without the conversion's record
 * changing; a cutover has a deadline. A machine that is to be switched off has work there in any case.
 */
async function isWantedThere(
  { id, state, whereabouts }: CommandOwner,
  commands: readonly CommandRecord[],
  { workflow }: ConnectDeps,
): Promise<boolean> {
  const isAwaited = (kind: CommandRecord["kind"]) => commands.some((one) => one.kind === kind && isOpen(one));
  if (isAwaited("switch-off")) return true;
  if (!whereabouts || !mayHaveLeft(whereabouts)) return false;
  if (ownerKind(id) === "cutover") return state === "running";
  if (state !== "running" && state !== "cancelling") return false;
  return !isAwaited("attest-boot-state") && (await workflow.isRunning(id));
}

type End = "arrived" | Failure;

/** How an open command ends because the machine reported from this system; `undefined` if it stays open. */
function endOf(
  { kind, input, environment }: CommandRecord,
  before: WhereaboutsRecord,
  contact: Contact,
): End | undefined {
  const isReboot = kind === "reboot";
  if (contact.environment === "boot-environment") {
    return isReboot && input.into === "boot-environment" ? "arrived" : undefined;
  }
  if (!isBack(before, contact)) return undefined;
  if (isReboot && input.into === "original") return "arrived";
  // Commands that lead to the boot environment, or work there, can no longer succeed.
  if (!isReboot && environment === "original") return undefined;
  return notThere(before);
}

/** Of a machine that is back in its original system. */
function notThere({ bootState }: WhereaboutsRecord): Failure {
  return failureOf(
    bootState === "armed"
      ? new BootEnvironmentSilentError("the machine came back, but its boot environment never reported")
      : new BootEnvironmentLeftError(),
  );
}

/**
 * Ends a command because of where its machine is. The workflow gets the result first; after an interruption
 * before the mark, the next connect does both again.
 */
export async function endCommand(
  command: CommandRecord,
  end: End,
  { store, steps, clock }: CommandDeps,
): Promise<void> {
  const { taskToken } = command;
  const failure = end === "arrived" ? undefined : end;
  if (taskToken) await (failure ? steps.fail(taskToken, failure) : steps.succeed(taskToken, {}));
  const now = timestamp(clock);
  await store.commands.modify(command.id, (current) => {
    if (!isOpen(current)) return current;
    return failure ? failed(current, failure, now) : succeeded(current, {}, now);
  });
}

/**
 * The agent has retracted a restart that it had announced, and took back the arming: the machine still runs
 * its original system. What waits for the boot environment fails with the agent's reason.
 */
export async function restartRetracted(
  { ownerId, agentId }: CommandRecord,
  failure: Failure,
  deps: CommandDeps,
): Promise<void> {
  const { owners } = deps.store;
  const now = timestamp(deps.clock);
  const { whereabouts: there } = await owners.learn(ownerId, (whereabouts) =>
    afterRetraction(whereabouts, now),
  );
  // It was restarted in spite of that: its work in the boot environment counts.
  if (there?.location !== "original") return;
  const { commands } = await owners.withCommands(ownerId);
  for (const command of commands) {
    if (command.agentId !== agentId || command.environment !== "boot-environment") continue;
    if (isOpen(command) && !bringsBack(command)) await endCommand(command, failure, deps);
  }
}

/**
 * Why a command for the boot environment cannot be done: the machine has come back from its restart, or was
 * not restarted, before the workflow asked. `undefined` if it may still be done.
 */
export async function whyNotThere(
  { environment }: CommandRecord,
  owner: CommandOwner,
  deps: CommandDeps,
): Promise<Failure | undefined> {
  if (environment !== "boot-environment") return undefined;
  if ((await whereaboutsFor(owner, deps))?.location !== "original") return undefined;
  const { commands } = await deps.store.owners.withCommands(owner.restartedBy ?? owner.id);
  const restart = latest(
    commands.filter(({ kind, input }) => kind === "reboot" && input.into === environment),
  );
  if (!restart || isOpen(restart)) return undefined;
  return restart.failure ?? failureOf(new BootEnvironmentLeftError());
}
