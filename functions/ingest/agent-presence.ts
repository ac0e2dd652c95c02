import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
import type { AgentRecord } from "#shared/domain/agent.ts";
import { presenceAfter } from "#shared/domain/presence.ts";
import type { Log } from "#shared/log.ts";
import { timestamp } from "../conversion/deps.ts";
import { ingestHandler } from "../middleware/ingest-handler.ts";
import type { Clock } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = ingestHandler({
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

/** Longer than any id of ours: what is cut names nothing, but is still audited. */
const MAX_ID = 128;
const cut = z.string().transform((text) => text.slice(0, MAX_ID));

const MAX_TIME = Date.UTC(9999, 11, 31);

/** As IoT publishes it on `$aws/events/presence/<eventType>/<clientId>`. */
const PresenceEvent = z.object({
  /** What the client calls itself. Proven by its policy once connected; before that, a claim. */
  clientId: cut,
  /** Milliseconds since 1970. A year of five digits would make the agent's record unreadable. */
  timestamp: z.int().nonnegative().max(MAX_TIME),
  eventType: z.enum(["connected", "disconnected", "connect_failed"]),
  sessionIdentifier: cut.default(""),
  /** The id of its certificate. */
  principalIdentifier: cut.optional(),
  /** Both from the broker's own lists. */
  disconnectReason: cut.optional(),
  connectFailureReason: cut.optional(),
});
type PresenceEvent = z.output<typeof PresenceEvent>;

/**
 * The broker ended the session for what the client may not do, or does not any more. It does not say what it
 * was: its own log does.
 */
const TRESPASSES = ["AUTH_ERROR", "FORBIDDEN_ACCESS"];

/** Notes which agents the broker hears, and audits whom it turned away. */
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
  if (event.disconnectReason && TRESPASSES.includes(event.disconnectReason)) {
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
 * The actor is whom the certificate belongs to, not who the client says it is. One that is turned away tries
 * again every few seconds, for ever.
 */
async function audit(
  action: string,
  event: PresenceEvent,
  reason: string,
  { store, clock }: Deps,
): Promise<void> {
  const { clientId, principalIdentifier } = event;
  const agent = principalIdentifier ? await store.agents.findByCertificate(principalIdentifier) : undefined;
  // Cutting a revoked agent's session is what revoking means, and is audited as that.
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
    // Under its own name, or under another's.
    `${reason} ${clientId === agent?.id}`,
  );
}
