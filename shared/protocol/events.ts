/** What an agent tells the control plane. Sent by Basic Ingest to the rule `agent_events`. */
import { z } from "zod";
import { Failure, Progress, Timestamp } from "./common.ts";
import { AgentId, CommandId } from "./ids.ts";
import { Inventory } from "./inventory.ts";
import { AgentEnvironment, BootId } from "./machine.ts";

/**
 * Where the agent runs: it is the same agent in its machine's own system (which it need not say) and in the
 * boot environment.
 */
const environment = AgentEnvironment.optional();
/** Who speaks is known from the topic alone: an event that names an agent is refused. */
const agentId = z.never("the topic says who speaks").optional();
const ofCommand = { commandId: CommandId, at: Timestamp, environment, agentId };

/**
 * Published after every connect: the answer is every command still pending for this agent in this
 * environment.
 */
export const AgentConnected = z.object({
  type: z.literal("agent-connected"),
  at: Timestamp,
  agentVersion: z.string(),
  environment,
  agentId,
  bootId: BootId.optional(),
  /** Of the original system; the boot environment sends none. */
  inventory: Inventory.optional(),
});

/** A running command is alive. Sampled by the agent; also the heartbeat of the workflow's step. */
export const CommandProgressed = z.object({
  type: z.literal("command-progressed"),
  ...ofCommand,
  progress: Progress.optional(),
});

export const CommandSucceeded = z.object({
  type: z.literal("command-succeeded"),
  ...ofCommand,
  output: z.unknown(),
});

export const CommandFailed = z.object({ type: z.literal("command-failed"), ...ofCommand, failure: Failure });

export const AgentEvent = z.discriminatedUnion("type", [
  AgentConnected,
  CommandProgressed,
  CommandSucceeded,
  CommandFailed,
]);
export type AgentEvent = z.infer<typeof AgentEvent>;

/**
 * What an agent publishes. The event is nested, so that the topic rule selects it by name and puts the
 * agent's id beside it: whatever else the payload holds, the rule does not take.
 */
export const AgentMessage = z.strictObject({ event: AgentEvent });
export type AgentMessage = z.infer<typeof AgentMessage>;

/**
 * As the topic rule hands it on. `agentId` is from the topic, which the agent's policy ties to its
 * certificate.
 */
export const IngestedEvent = z.strictObject({ agentId: AgentId, event: AgentEvent });
export type IngestedEvent = z.infer<typeof IngestedEvent>;
