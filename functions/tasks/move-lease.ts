import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
import {
  begunLease,
  endingLease,
  grantedLease,
  type LeaseRecord,
  permanentLease,
  returnedLease,
  secondsUntilSource,
} from "#shared/domain/lease.ts";
import { RecoveryId } from "#shared/protocol/ids.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { Clock } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const Input = z.object({
  recoveryId: RecoveryId,
  /**
   * `take`: the machine may run by renewals, because an operator says that source and earlier machines are
   * off. `keep`: it may run permanently. `give-back`: it may not run, and the source may as soon as that is
   * sure.
   */
  action: z.enum(["take", "keep", "give-back"]),
});

export const handler = taskHandler({
  name: "tasks/move-lease",
  input: Input,
  build: ({ TABLE_NAME }, { clock, random }): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    clock,
  }),
  run,
});

interface Deps {
  store: Store;
  clock: Clock;
}

type Action = z.output<typeof Input>["action"];

/**
 * Moves the right to run of a recovery's source by one conditional write. Repeating it changes nothing.
 * Returns the lease's term, and after how many whole seconds to give it back again: 0 if that is done.
 * Throws `WrongStateError` if the right is with another recovery or cutover.
 */
export async function run(
  { recoveryId, action }: z.output<typeof Input>,
  { store, clock }: Deps,
): Promise<{ term: number; seconds: number }> {
  const { sourceId, targetId, requestedBy } = await store.recoveries.get(recoveryId);
  const now = timestamp(clock);
  const before = await store.leases.get(sourceId);
  const lease = await store.leases.modify(sourceId, (one) =>
    movedLease(one, action, { ownerId: recoveryId, targetId, now }),
  );
  if (lease.version !== before.version)
    await store.audit.addOnce({
      at: now,
      actor: action === "take" ? requestedBy : "causeway",
      action: `lease-${lease.state}`,
      subject: sourceId,
      outcome: "done",
      details: { recoveryId, term: lease.term },
    });
  const isWaiting = action === "give-back" && lease.ownerId === recoveryId;
  return { term: lease.term, seconds: isWaiting ? Math.ceil(secondsUntilSource(lease, now)) : 0 };
}

function movedLease(
  lease: LeaseRecord,
  action: Action,
  { ownerId, targetId, now }: { ownerId: string; targetId: string; now: string },
): LeaseRecord {
  switch (action) {
    case "take": {
      // One that another recovery gave back, or left, and that has lapsed since.
      const lapsed = returnedLease(lease, { ownerId: lease.ownerId ?? "", isOff: false, now });
      return grantedLease(begunLease(lapsed, { ownerId, targetId, othersOff: true }), ownerId, "stated");
    }
    case "keep":
      return permanentLease(lease, ownerId);
    case "give-back":
      return returnedLease(endingLease(lease, ownerId), { ownerId, isOff: false, now });
  }
}
