import type { Log } from "#shared/log.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock } from "../ports.ts";
import type { Store } from "../store/store.ts";

/** Records that something an agent sent was not accepted. */
export async function refuse(
  agentId: string,
  details: { reason: string } & Record<string, unknown>,
  { store, clock, log }: { store: Store; clock: Clock; log: Log },
): Promise<void> {
  log.warn("event refused", { agentId, ...details });
  await store.audit.add({
    at: timestamp(clock),
    actor: agentId,
    action: "event-refused",
    subject: typeof details.commandId === "string" ? details.commandId : agentId,
    outcome: "refused",
    details,
  });
}
