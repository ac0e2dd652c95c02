/** The events that an agent reports to the control plane, by Basic Ingest to the rule `agent_events`. */

import * as z from "zod";
import { Failure, Progress, Timestamp } from "./common.ts";
import { BrokenFence } from "./fence.ts";
import { AgentId, CommandId } from "./ids.ts";
import { Inventory } from "./inventory.ts";
import { AgentSystem, BootId } from "./machine.ts";

/**
 * The system that the agent runs in: `original` if absent. It is the same agent in both systems.
 */
const environment = AgentSystem.optional();
/** Only the topic identifies the sender: an event that names an agent is refused. */
const agentId = z.never("only the topic identifies the agent").optional();
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
  /** The original system's inventory; the boot environment sends none. */
  inventory: Inventory.optional(),
  /** Sent again at each connect. */
  brokenFence: BrokenFence.optional(),
});

/** The agent is still working on a command. Sampled, and also the heartbeat of the workflow's step. */
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
 * The payload that an agent publishes. The event is nested, so that the topic rule selects it by name and
 * adds the agent's id beside it. The rule ignores everything else in the payload.
 */
export const AgentMessage = z.strictObject({ event: AgentEvent });
export type AgentMessage = z.infer<typeof AgentMessage>;

/**
 * The event as the topic rule passes it on. `agentId` is from the topic, which the agent's policy ties to its
 * certificate.
 */
export const IngestedEvent = z.strictObject({ agentId: AgentId, event: AgentEvent });
export type IngestedEvent = z.infer<typeof IngestedEvent>;
