import { lapsedLease } from "#shared/domain/lease.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock } from "../ports.ts";
import type { Store } from "../store/store.ts";

interface Deps {
  store: Pick<Store, "leases">;
  clock: Clock;
}

/**
 * Why the source's disks are no copy to make a machine of: another machine has the right to run in its place,
 * and they can have the fence, which would keep that machine's services down. `undefined` if none has.
 */
export async function machineInPlace(sourceId: string, { store, clock }: Deps): Promise<string | undefined> {
  const { state, ownerId } = lapsedLease(await store.leases.get(sourceId), timestamp(clock));
  return state === "none"
    ? undefined
    : `the machine of ${ownerId} has the right to run in place of the source, whose disks may have its fence`;
}
