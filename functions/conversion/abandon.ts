import { released } from "#shared/domain/agent.ts";
import { bringsBack, type CommandRecord, isOpen, type WantedCommand } from "#shared/domain/command.ts";
import { abandoned, type ConversionRecord, hasEnded } from "#shared/domain/conversion.ts";
import { abandonedSteps, openCommands } from "#shared/domain/conversion-view.ts";
import { isAway } from "#shared/domain/source-machine.ts";
import { type WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { cancelCommands } from "./cancel-commands.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { order, rebootIntoOriginal } from "./order.ts";

/**
 * Ends a conversion that cannot go on, as failed or (if the operator asked) cancelled, and gives back what it
 * took. Every part may be repeated; the end of the conversion is written last, so whatever breaks off before
 * it is done again by the next try.
 */
export async function abandon(
  conversionId: string,
  error: WorkflowError,
  deps: CommandDeps,
): Promise<ConversionRecord> {
  const { conversions, agents } = deps.store;
  const { conversion, commands } = await conversions.withCommands(conversionId);
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
  return ended;
}

/**
 * A machine that may be armed, or is not heard from its original system, is still owed its way back:
 * whichever system calls next finds the order, however late. Of one that is back, what was ordered for that
 * is over.
 */
async function bringBack(
  conversion: ConversionRecord,
  commands: readonly CommandRecord[],
  deps: CommandDeps,
): Promise<void> {
  const { machine, id: conversionId, sourceId: agentId, requestedBy } = conversion;
  if (!machine || !isAway(machine)) {
    return cancelCommands(
      commands.filter((command) => isOpen(command) && bringsBack(command)),
      deps,
    );
  }
  const orders: WantedCommand[] = [
    rebootIntoOriginal(conversion),
    {
      conversionId,
      agentId,
      requestedBy,
      round: 1,
      kind: "attest-boot-state",
      input: { conversionId, requestedBy },
    },
  ];
  for (const wanted of orders) {
    if (machine.is === "original" && wanted.kind === "reboot") continue;
    // An attempt that failed has told what there is to tell.
    if (commands.some((command) => command.kind === wanted.kind && command.label === wanted.label)) continue;
    await order(wanted, commands, deps);
  }
}

/**
 * Tells both agents to give back what the conversion took there. Nobody waits for it: an agent that is away
 * does it when it is back.
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
    // An agent that was never asked for anything has nothing to give back.
    if (!commands.some((command) => command.agentId === agentId)) continue;
    const { enrolledFrom: environment } = await deps.store.agents.get(agentId);
    const wanted: WantedCommand = {
      conversionId: conversion.id,
      agentId,
      environment,
      kind: "release",
      label,
      round: 1,
      input: { conversionId: conversion.id },
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
