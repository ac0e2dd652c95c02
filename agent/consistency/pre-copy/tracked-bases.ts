import * as z from "zod";
import type { Extent } from "#shared/domain/extents.ts";
import { DiskName, PointId } from "#shared/protocol/ids.ts";
import { DataFile } from "../../identity/identity.ts";
import { DiskStatus } from "../../tracking/disk-status.ts";
import type { TrackedBase } from "../../tracking/validity.ts";

const Count = z.int().nonnegative();
const counters = DiskStatus.shape;

const Base = z.object({
  pointId: PointId,
  /** When the disk was last read whole. */
  scannedAt: z.iso.datetime(),
  /** The parts that were left out, as they were swap space. */
  leftOut: z.array(z.object({ offset: Count, length: Count })),
  tracked: z.object({
    bootId: counters.bootId,
    generation: counters.generation,
    identity: z.string(),
    bytes: counters.bytes,
    diskSequence: counters.diskSequence,
    sequence: counters.sequence,
    lost: counters.lost,
    passthrough: counters.passthrough,
    beyond: counters.beyond,
    unseenBytes: counters.unseenBytes,
    skipped: counters.skipped,
  }),
});

/** What the agent knows of a disk in a recovery point, to judge what the tracker says of it later. */
export interface PointBase {
  pointId: string;
  scannedAt: string;
  leftOut: Extent[];
  tracked: TrackedBase;
}

const Bases = z.record(DiskName, z.array(Base).max(2));

/** The bases of this machine's disks, in the agent's folder. */
export class TrackedBases {
  readonly #file: DataFile<z.infer<typeof Bases>>;

  constructor(dataDir: string) {
    this.#file = new DataFile(dataDir, "tracked-bases.json", Bases);
  }

  /** The base of a disk in a recovery point; `undefined` if there is none. Damage counts as none. */
  async find(disk: string, pointId: string): Promise<PointBase | undefined> {
    return (await this.#read())[disk]?.find((base) => base.pointId === pointId);
  }

  /**
   * Adds a disk's base, before its recovery point is committed. That of the parent stays: the new point may
   * never be committed.
   */
  async add(disk: string, base: PointBase, parentId: string | undefined): Promise<void> {
    const all = await this.#read();
    const parent = all[disk]?.find(({ pointId }) => pointId === parentId && pointId !== base.pointId);
    await this.#file.write({ ...all, [disk]: parent ? [base, parent] : [base] });
  }

  /** Forgets a disk: its next run scans it. */
  async forget(disk: string): Promise<void> {
    const { [disk]: forgotten, ...others } = await this.#read();
    if (forgotten) await this.#file.write(others);
  }

  async #read(): Promise<z.infer<typeof Bases>> {
    return (await this.#file.read().catch(() => undefined)) ?? {};
  }
}
