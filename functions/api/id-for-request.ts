import { type IdPrefix, newId } from "#shared/domain/id.ts";
import type { OperationId } from "#shared/protocol/routes.ts";
import type { Clock, Random } from "../ports.ts";
import type { Store } from "../store/store.ts";

interface CreatingRequest {
  operation: OperationId;
  /** Of the new resource's id: `cnv`. */
  prefix: IdPrefix;
  actor: string;
  idempotencyKey: string | undefined;
  request: unknown;
}

/**
 * The id of what a request creates: the same one each time if it has an idempotency key. Throws
 * `InvalidInputError` if the key was used with another request.
 */
export async function idForRequest(
  { operation, prefix, actor, idempotencyKey, request }: CreatingRequest,
  { store, clock, random }: { store: Pick<Store, "reservations">; clock: Clock; random: Random },
): Promise<string> {
  const nowMs = clock.now();
  const id = newId(prefix, nowMs, random(10));
  if (!idempotencyKey) return id;
  return store.reservations.reserve({ operation, actor, key: idempotencyKey, request, id, nowMs });
}
