import { released } from "#shared/domain/agent.ts";
import { type CommandRecord, messageOf, plan } from "#shared/domain/command.ts";
import { abandoned, type ConversionRecord, hasEnded } from "#shared/domain/conversion.ts";
import { abandonedSteps, openCommands } from "#shared/domain/conversion-view.ts";
import { type WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { ConcurrentChangeError } from "#shared/errors.ts";
import { cancelCommands } from "./cancel-commands.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { tellAgent } from "./tell-agent.ts";

/**
 * Ends a conversion that cannot go on, as failed or (if the operator asked) cancelled, and gives back what it took. Every part may be repeated;
 * the end of the conversion is written last, so whatever breaks off before it is done again by the next try.
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
    await releaseAgents(conversion, commands, deps);
  }
  await agents.modify(conversion.sourceId, (source) => released(source, conversionId));
  const last = await conversions.withCommands(conversionId);
  const failure = workflowFailure(error);
  const now = timestamp(deps.clock);
  const ended = await conversions.modify(conversionId, (current) =>
    abandoned(current, { failure, steps: abandonedSteps(current, last.commands, now), now }),
  );
  await recordEnd(ended, deps);
  return ended;
}

/** Tells both agents to give back what the conversion took there. Nobody waits for it: an agent that is away does it when it is back. */
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
    const dispatch = plan(
      {
        conversionId: conversion.id,
        agentId,
        kind: "release",
        label,
        round: 1,
        input: { conversionId: conversion.id },
        requestedBy: conversion.requestedBy,
      },
      commands,
      timestamp(deps.clock),
    );
    if (dispatch.action === "answer") continue;
    const { command } = dispatch;
    if (command.version === 0) await addOnce(command, deps);
    await tellAgent(deps, agentId, messageOf(command));
  }
}

/** The id says what the command does, so one that is there already is the same. */
async function addOnce(command: CommandRecord, { store }: CommandDeps): Promise<void> {
  try {
    await store.conversions.saveCommand(command);
  } catch (error) {
    if (!(error instanceof ConcurrentChangeError)) throw error;
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
