import { released } from "#shared/domain/agent.ts";
import { bringsBack, type CommandRecord, isOpen, type WantedCommand } from "#shared/domain/command.ts";
import { abandoned, type ConversionRecord, hasEnded } from "#shared/domain/conversion.ts";
import { abandonedSteps, openCommands } from "#shared/domain/conversion-view.ts";
import { isAway } from "#shared/domain/whereabouts.ts";
import { type WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { reportSourceAway } from "../alarm/source-away.ts";
import { cancelCommands } from "./cancel-commands.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { order, rebootIntoOriginal } from "./order.ts";

export type AbandonDeps = CommandDeps & ReportDeps;

/**
 * Ends a conversion that cannot continue, as failed or (if the operator asked) as cancelled, and releases
 * what it used. Every part may be repeated. The end of the conversion is written after these, so after an
 * interruption the next try does all parts again. Last, if the source is away, an alarm says so.
 */
export async function abandon(
  conversionId: string,
  error: WorkflowError,
  deps: AbandonDeps,
): Promise<ConversionRecord> {
  const { conversions, agents } = deps.store;
  const { record: conversion, commands } = await conversions.withCommands(conversionId);
  if (!hasEnded(conversion)) {
    await cancelCommands(openCommands(commands), deps);
    await bringBack(conversion, commands, deps);
    await releaseAgents(conversion, commands, deps);
  }
  const source = await agents.modify(conversion.sourceId, (one) => released(one, conversionId));
  const last = await conversions.withCommands(conversionId);
  const failure = workflowFailure(error);
  const now = timestamp(deps.clock);
  const ended = await conversions.modify(conversionId, (current) =>
    abandoned(current, {
      failure,
      steps: abandonedSteps(current, last.commands, now),
      now,
      lastHeardAt: source.lastSeenAt,
    }),
  );
  await recordEnd(ended, deps);
  await reportSourceAway(conversionId, deps);
  return ended;
}

/**
 * Sends the commands that bring the machine back if it may be armed or has not reported from its original
 * system. Whichever system connects next gets them, however late. If the machine is already back, cancels
 * such commands.
 */
async function bringBack(
  conversion: ConversionRecord,
  commands: readonly CommandRecord[],
  deps: CommandDeps,
): Promise<void> {
  const { whereabouts, id: conversionId, sourceId: agentId, requestedBy } = conversion;
  if (!whereabouts || !isAway(whereabouts)) {
    return cancelCommands(
      commands.filter((command) => isOpen(command) && bringsBack(command)),
      deps,
    );
  }
  const orders: WantedCommand[] = [
    rebootIntoOriginal(conversion),
    {
      ownerId: conversionId,
      agentId,
      requestedBy,
      round: 1,
      kind: "attest-boot-state",
      input: { conversionId, requestedBy },
    },
  ];
  for (const wanted of orders) {
    if (whereabouts.location === "original" && wanted.kind === "reboot") continue;
    // A failed attempt has already reported everything it can.
    if (commands.some((command) => command.kind === wanted.kind && command.label === wanted.label)) continue;
    await order(wanted, commands, deps);
  }
}

/**
 * Sends both agents the command to release what the conversion used. No workflow waits for the result: an
 * agent that is disconnected does it when it connects.
 */
async function releaseAgents(
  conversion: ConversionRecord,
  commands: readonly CommandRecord[],
  deps: CommandDeps,
): Promise<void> {
  const parties = [
    { label: "source", agentId: conversion.sourceId },
    { label: "target", agentId: conversion.targetId },
  ];
  for (const { label, agentId } of parties) {
    // An agent that never got a command has nothing to release.
    if (!commands.some((command) => command.agentId === agentId)) continue;
    const { enrolledFrom: environment } = await deps.store.agents.get(agentId);
    const wanted: WantedCommand = {
      ownerId: conversion.id,
      agentId,
      environment,
      kind: "release",
      label,
      round: 1,
      input: { ownerId: conversion.id },
      requestedBy: conversion.requestedBy,
    };
    await order(wanted, commands, deps);
  }
}

async function recordEnd(ended: ConversionRecord, { store }: CommandDeps): Promise<void> {
  const { id, state, endedAt, failure } = ended;
  if (state === "completed" || !endedAt) return;
  await store.audit.addOnce({
    at: endedAt,
    actor: "causeway",
    action: `conversion-${state}`,
    subject: id,
    outcome: "done",
    ...(failure ? { details: { failure: failure.name, message: failure.message } } : {}),
  });
}
