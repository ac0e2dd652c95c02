import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import type { Store } from "../store/store.ts";

/** A recovery point as the command that clones it off the standby names it. */
export type PointDisks = NonNullable<CutoverRecord["final"]>;

/** Throws `NotFoundError`. */
export async function pointDisks(pointId: string, { points }: Pick<Store, "points">): Promise<PointDisks> {
  const { disks } = await points.get(pointId);
  return { pointId, disks: disks.map(({ name, sizeBytes }) => ({ name, sizeBytes })) };
}
