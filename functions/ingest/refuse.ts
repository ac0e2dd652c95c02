import type { Log } from "#shared/log.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock } from "../ports.ts";
import { boundedDetails } from "../store/bounded-details.ts";
import type { Store } from "../store/store.ts";

/**
 * Why an event is refused. The set is closed, because the audit has one entry for each agent and reason in an
 * hour.
 */
export type EventRefusal =
  | "malformed"
  | "unknown agent"
  | "the agent was revoked"
  | "unknown command"
  | "another agent's command"
  | "a command for the other environment";

/** Records that an agent's event was refused. `details` may contain text that the agent wrote. */
export async function refuse(
  agentId: string,
  { reason, ...details }: { reason: EventRefusal; commandId?: string } & Record<string, unknown>,
  { store, clock, log }: { store: Store; clock: Clock; log: Log },
): Promise<void> {
  const bounded = boundedDetails({ reason, ...details });
  log.warn("event refused", { agentId, ...bounded });
  await store.audit.addHourly(
    {
      at: timestamp(clock),
      actor: agentId,
      action: "event-refused",
      subject: details.commandId ?? agentId,
      outcome: "refused",
      details: bounded,
    },
    reason,
  );
}
