import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import * as z from "zod";
import type { AgentRecord } from "#shared/domain/agent.ts";
import { presenceAfter } from "#shared/domain/presence.ts";
import type { Log } from "#shared/log.ts";
import { timestamp } from "../conversion/deps.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import type { Clock } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = eventHandler({
  name: "ingest/agent-presence",
  build: ({ TABLE_NAME }, { clock, random, log }): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    clock,
    log,
  }),
  run,
});

interface Deps {
  store: Store;
  clock: Clock;
  log: Log;
}

/** Longer than any id of ours. A longer one names nothing, but is still audited in shortened form. */
const MAX_ID = 128;
const cut = z.string().transform((text) => text.slice(0, MAX_ID));

const MAX_TIME = Date.UTC(9999, 11, 31);

/** As IoT publishes it on `$aws/events/presence/<eventType>/<clientId>`. */
const PresenceEvent = z.object({
  /** The name that the client claims. Its policy has verified it once it is connected. */
  clientId: cut,
  /** Milliseconds since 1970. A year with five digits would make the agent's record unreadable. */
  timestamp: z.int().nonnegative().max(MAX_TIME),
  eventType: z.enum(["connected", "disconnected", "connect_failed"]),
  sessionIdentifier: cut.default(""),
  /** The id of its certificate. */
  principalIdentifier: cut.optional(),
  /** Both come from the broker's own lists. */
  disconnectReason: cut.optional(),
  connectFailureReason: cut.optional(),
});
type PresenceEvent = z.output<typeof PresenceEvent>;

/**
 * Reasons for which the broker ends a session because the client did something that it is not allowed to do.
 * The broker's own log says what it was.
 */
const REFUSALS = ["AUTH_ERROR", "FORBIDDEN_ACCESS"];

/** Records which agents are connected, and audits the clients that the broker refused. */
export async function run(input: unknown, deps: Deps): Promise<void> {
  const parsed = PresenceEvent.safeParse(input);
  if (!parsed.success) {
    deps.log.warn("presence event not understood", { issues: parsed.error.issues });
    return;
  }
  const event = parsed.data;
  if (event.eventType === "connect_failed") {
    return audit("connect-refused", event, event.connectFailureReason ?? "unknown", deps);
  }
  await note(event, event.eventType, deps);
  if (event.disconnectReason && REFUSALS.includes(event.disconnectReason)) {
    await audit("session-refused", event, event.disconnectReason, deps);
  }
}

async function note(
  { clientId, timestamp: at, sessionIdentifier }: PresenceEvent,
  type: "connected" | "disconnected",
  { store, log }: Deps,
): Promise<void> {
  if (!(await store.agents.find(clientId))) {
    log.warn("presence of an unknown client", { clientId });
    return;
  }
  await store.agents.modify(clientId, (agent): AgentRecord => {
    const presence = presenceAfter(agent.presence, { type, sessionId: sessionIdentifier, at });
    return presence === agent.presence
      ? agent
      : { ...agent, presence, lastSeenAt: new Date(at).toISOString() };
  });
}

/**
 * The actor is the owner of the certificate, not the name that the client claims. A refused client retries
 * every few seconds without end, so these entries are counted hourly.
 */
async function audit(
  action: string,
  event: PresenceEvent,
  reason: string,
  { store, clock }: Deps,
): Promise<void> {
  const { clientId, principalIdentifier } = event;
  const agent = principalIdentifier ? await store.agents.findByCertificate(principalIdentifier) : undefined;
  // Revoking an agent ends its session, and the revocation is already audited.
  if (agent?.revokedAt && event.eventType === "disconnected") return;
  await store.audit.addHourly(
    {
      at: timestamp(clock),
      actor: agent?.id ?? "unknown-client",
      action,
      subject: clientId,
      outcome: "refused",
      details: { reason, principalIdentifier },
    },
    // Whether the client used its own name or another one.
    `${reason} ${clientId === agent?.id}`,
  );
}
