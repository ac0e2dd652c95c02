import { SFNClient } from "@aws-sdk/client-sfn";
import { introduced } from "#shared/domain/agent.ts";
import { type AgentEvent, IngestedEvent } from "#shared/protocol/events.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { agentConnected, type ConnectDeps } from "../conversion/agent-connected.ts";
import { buildCommanding } from "../conversion/build.ts";
import { commandEnded, commandProgressed } from "../conversion/command-events.ts";
import { timestamp } from "../conversion/deps.ts";
import { endEarlierStarts } from "../conversion/earlier-starts.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import { fenceBroken } from "../recovery/fence-broken.ts";
import { settleLease } from "../recovery/settle-lease.ts";
import { findUnstorable } from "./find-unstorable.ts";
import { refuse } from "./refuse.ts";

export const handler = eventHandler({
  name: "ingest/agent-events",
  build: (environment, runtime): ConnectDeps => {
    const sfn = new SFNClient();
    return {
      ...buildCommanding(environment, runtime, sfn),
      ...buildAlarmChannels(environment, sfn),
      workflow: new SfnWorkflow(sfn, environment.CONVERSION_WORKFLOW_ARN),
      random: runtime.random,
    };
  },
  run,
});

/** The topic's part of the input, which is readable even if the event is not. */
const FromTopic = IngestedEvent.pick({ agentId: true }).loose();

/**
 * Handles one event of an agent. The topic rule `SELECT event, topic(3) AS agentId FROM
 * 'causeway/agents/+/events'` takes the event from the payload and adds its sender. Events can arrive twice,
 * late and in any order.
 */
export async function run(input: unknown, deps: ConnectDeps): Promise<void> {
  const ingested = await read(input, deps);
  if (!ingested) return;
  const { agentId, event } = ingested;
  const agent = await deps.store.agents.find(agentId);
  if (!agent || agent.revokedAt) {
    return refuse(
      agentId,
      { reason: agent ? "the agent was revoked" : "unknown agent", type: event.type },
      deps,
    );
  }
  switch (event.type) {
    case "agent-connected":
      return connected(agentId, event, deps);
    case "command-progressed":
      return commandProgressed(agentId, event, deps);
    case "command-succeeded":
    case "command-failed":
      return commandEnded(agentId, event, deps);
  }
}

/**
 * Returns the event, or `undefined` if it cannot be read. An unreadable event is audited and not thrown,
 * because a retry would not help.
 */
async function read(input: unknown, deps: ConnectDeps): Promise<IngestedEvent | undefined> {
  const ingested = IngestedEvent.safeParse(input);
  const unstorable = findUnstorable(input);
  if (ingested.success && unstorable === undefined) return ingested.data;
  const issues = ingested.error?.issues.slice(0, 10) ?? [];
  const fields = issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  if (unstorable !== undefined) fields.push(unstorable);
  const agentId = FromTopic.safeParse(input).data?.agentId ?? "unknown-agent";
  await refuse(agentId, { reason: "malformed", fields }, deps);
  return undefined;
}

/** Stores what the agent reported about itself and sends it every unfinished command for its system. */
async function connected(
  agentId: string,
  report: Extract<AgentEvent, { type: "agent-connected" }>,
  deps: ConnectDeps,
): Promise<void> {
  const { store, clock } = deps;
  const agent = await store.agents.modify(agentId, (known) => introduced(known, report, timestamp(clock)));
  const { environment, bootId, enrolledFrom } = agent;
  if (report.brokenFence && agent.role === "source") await fenceBroken(agentId, report.brokenFence, deps);
  if (agent.role === "source") await settleLease(agentId, deps);
  if (enrolledFrom === "boot-environment") await endEarlierStarts(agent, deps);
  await agentConnected(agentId, { environment, bootId }, deps);
}
