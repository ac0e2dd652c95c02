/** The MQTT topics. Agents' policies name exactly these, with the thing name as a variable. */

/** The name of the topic rule for agents' events. */
export const EVENTS_RULE = "agent_events";

/**
 * Where agents publish (Basic Ingest: no broker charge, only the rule sees it). Within the rule, `topic(3)`
 * is the agent.
 */
export const eventsTopic = (agentId: string): string =>
  `$aws/rules/${EVENTS_RULE}/causeway/agents/${agentId}/events`;

/** Where an agent receives commands. */
export const commandsTopic = (agentId: string): string => `causeway/agents/${agentId}/commands`;
