import { BLOCK_BYTES, BlockNamer } from "#shared/format/block.ts";
import { DamagedObjectError, UnsupportedFormatError } from "#shared/format/errors.ts";
import { deriveBlockIdKey } from "#shared/format/keys.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import { FAN_OUT } from "#shared/format/tree.ts";
import type { ProgressMeter } from "../progress/progress-meter.ts";
import type { Repository } from "../repository/repository.ts";
import { VerifiedMap } from "../repository/verified-map.ts";
import { bytesToWrite, changedParts, differingParts, type EarlierMap } from "../restore/changed-parts.ts";
import { restoreDisk } from "../restore/restore.ts";
import type { RestorePart } from "../restore/restore-plan.ts";
import type { StandbyImage } from "./standby-image.ts";

/** How many leaves that a point did not change are read again after each application. */
export interface Sampling {
  /** Of the leaves of a disk. */
  fraction: number;
  /** The most that is read for it. */
  maxBytes: number;
  /** At least 0, below 1. */
  random: () => number;
}

/** What an application did to all disks. */
export interface AppliedCounts {
  bytesWritten: number;
  bytesZeroed: number;
  /** From the repository, for blocks; maps come in addition. */
  bytesFetched: number;
  /** Read from the images, to compare them. */
  bytesRead: number;
  leavesChecked: number;
  /** Leaves that another program had changed. */
  leavesRepaired: number;
}

/** `comparison`: all of the image was read, for this reason. */
export type HowApplied =
  | { method: "unchanged" | "changes" }
  | { method: "comparison"; why: ComparisonReason };
export type ComparisonReason = "asked-for" | "unknown-content" | "earlier-map-lost" | "changed-from-outside";

export interface DiskApplierOptions {
  repository: Repository;
  image: StandbyImage;
  /** What the image will equal. */
  disk: MappedDisk;
  /** What it equals now, apart from blocks of the interrupted disks; null if that is not known. */
  holds: MappedDisk | null;
  /** Disks of earlier points that were begun and not finished. */
  interrupted: readonly MappedDisk[];
  /** What it equals now unless another program has changed it; absent if that is not known. */
  expected: MappedDisk | undefined;
  whole: boolean;
  sampling: Sampling;
  counts: AppliedCounts;
  /** Called before a repair begins: makes it durable that the content of the image is not known. */
  distrust: () => Promise<void>;
  meter?: ProgressMeter;
  signal?: AbortSignal;
}

/** The map of what an image equalled can no longer be read: the point was pruned. */
class EarlierMapLost extends Error {}

type OnParts = (parts: readonly RestorePart[]) => void;

const LEAF_BYTES = FAN_OUT * BLOCK_BYTES;

/** Makes one image equal to a disk of a recovery point. */
export class DiskApplier {
  readonly #options: DiskApplierOptions;
  readonly #map: VerifiedMap;
  readonly #namer: BlockNamer;

  constructor(options: DiskApplierOptions) {
    this.#options = options;
    this.#map = new VerifiedMap(options.repository, options.disk);
    this.#namer = new BlockNamer(deriveBlockIdKey(options.repository.dataKey));
  }

  async apply(): Promise<HowApplied> {
    const { image, disk, holds, expected, whole, counts } = this.#options;
    await image.resize(disk.sizeBytes);
    try {
      if (!holds) return await this.#compare(expected ? "changed-from-outside" : "unknown-content");
      if (whole) return await this.#compare("asked-for");
      const sample = this.#chooseSample();
      const method = await this.#applyChanges(holds, sample).catch((error: unknown) => {
        if (error instanceof EarlierMapLost) return undefined;
        throw error;
      });
      if (!method) return await this.#compare("earlier-map-lost");
      if (await this.#isAsExpected(sample)) return { method };
      await this.#options.distrust();
      return await this.#compare("changed-from-outside");
    } finally {
      counts.bytesZeroed += image.bytesZeroed;
      counts.bytesRead += image.bytesRead;
    }
  }

  /** Writes what differs from anything the image may contain. Removes what it writes from `sample`. */
  async #applyChanges(holds: MappedDisk, sample: Set<number>): Promise<"unchanged" | "changes"> {
    const { disk, interrupted } = this.#options;
    // Only an equal hash of an equal size was checked before.
    const isSame = holds.contentHash === disk.contentHash && holds.sizeBytes === disk.sizeBytes;
    if (isSame && interrupted.length === 0) return "unchanged";
    const earlier = [holds, ...interrupted].map((each) => this.#earlier(each));
    const parts = changedParts(this.#map, earlier);
    const onParts = (batch: readonly RestorePart[]) => {
      for (const { index } of batch) sample.delete(index);
    };
    // Other content has something to write: the thread for it starts while the maps are read.
    if (!isSame) await this.#write(parts, onParts);
    else if (!(await this.#writeIfAny(parts, onParts))) return "unchanged";
    return "changes";
  }

  /** Reads all of the image, and writes the blocks that differ. */
  async #compare(why: ComparisonReason): Promise<HowApplied> {
    const { image, disk, expected, counts } = this.#options;
    // In a disk of another size, the last leaf differs for that reason alone.
    const before = expected?.sizeBytes === disk.sizeBytes ? this.#earlier(expected) : undefined;
    const indexes = this.#allLeaves();
    const onDifference = async (index: number, found: Buffer) => {
      const entry = await before?.entryOf(0, index).catch(() => undefined);
      if (entry && !entry.hash.equals(found)) counts.leavesRepaired += 1;
    };
    await this.#writeIfAny(
      differingParts(this.#map, { reader: image, namer: this.#namer, indexes }, onDifference),
    );
    counts.leavesChecked += this.#map.leafCount;
    return { method: "comparison", why };
  }

  *#allLeaves(): Generator<number, void> {
    for (let index = 0; index < this.#map.leafCount; index++) {
      this.#options.signal?.throwIfAborted();
      yield index;
    }
  }

  /** Returns whether there was anything to write: often there is not, and then no thread starts. */
  async #writeIfAny(parts: AsyncGenerator<RestorePart[], void>, onParts?: OnParts): Promise<boolean> {
    const first = await parts.next();
    if (first.done) return false;
    async function* all(): AsyncGenerator<RestorePart[], void> {
      yield first.value ?? [];
      yield* parts;
    }
    await this.#write(all(), onParts);
    return true;
  }

  async #write(parts: AsyncGenerator<RestorePart[], void>, onParts: OnParts = () => {}): Promise<void> {
    const { repository, disk, image: sink, counts, meter, signal } = this.#options;
    async function* seen(): AsyncGenerator<RestorePart[], void> {
      for await (const batch of parts) {
        onParts(batch);
        meter?.expect(bytesToWrite(batch));
        yield batch;
      }
    }
    const { bytesWritten, bytesFetched } = await restoreDisk({
      ...{ repository, disk, sink, parts: seen() },
      ...(meter ? { meter } : {}),
      ...(signal ? { signal } : {}),
    });
    counts.bytesWritten += bytesWritten;
    counts.bytesFetched += bytesFetched;
  }

  /** Random leaves, so that no other program knows them before. */
  #chooseSample(): Set<number> {
    const { fraction, maxBytes, random } = this.#options.sampling;
    const { leafCount } = this.#map;
    const wanted = Math.min(Math.ceil(leafCount * fraction), Math.floor(maxBytes / LEAF_BYTES));
    return new Set(Array.from({ length: wanted }, () => Math.floor(random() * leafCount)));
  }

  async #isAsExpected(sample: ReadonlySet<number>): Promise<boolean> {
    const indexes = [...sample].sort((a, b) => a - b);
    this.#options.counts.leavesChecked += indexes.length;
    const written = { reader: this.#options.image, namer: this.#namer, indexes };
    const { done } = await differingParts(this.#map, written).next();
    return done === true;
  }

  #earlier(disk: MappedDisk): EarlierMap {
    const map = new VerifiedMap(this.#options.repository, disk);
    const lost = (error: unknown): never => {
      if (error instanceof DamagedObjectError || error instanceof UnsupportedFormatError)
        throw new EarlierMapLost("the earlier map cannot be read", { cause: error });
      throw error;
    };
    return {
      entryOf: (level, index) => map.entryOf(level, index).catch(lost),
      leaves: (wanted) => map.leaves(wanted).catch(lost),
    };
  }
}
