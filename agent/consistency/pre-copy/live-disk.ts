import { createHash } from "node:crypto";
import { BlockSet } from "#shared/domain/block-set.ts";
import { type Extent, subtract } from "#shared/domain/extents.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { type DiskSource, openDisk } from "../../disk/disk-source.ts";
import type { readDiskFacts } from "../../tracking/disk-facts.ts";
import type { DiskStatus } from "../../tracking/disk-status.ts";
import type { Pass as TrackedPass, Tracker } from "../../tracking/tracker.ts";
import { baseOf, distrust } from "../../tracking/validity.ts";
import type { DiskView, LocalDisk, ViewRequest } from "../consistent-view.ts";
import { liveCopyOf, remarkOn, type Settlement } from "./live-copy.ts";
import { PassMemory } from "./pass-memory.ts";
import { blocksOutside, findSwapSpace } from "./swap-space.ts";
import type { PointBase, TrackedBases } from "./tracked-bases.ts";
import type { DeviceTree } from "./volumes-to-freeze.ts";

/** Everything is read and compared at this age, however well the tracker does. */
const SCAN_EVERY_MS = 30 * 24 * 60 * 60 * 1000;

interface OpenDeps {
  tracker: Tracker;
  factsOf: typeof readDiskFacts;
  bases: TrackedBases;
  tree: DeviceTree;
  request: ViewRequest;
  now: { bootId: string; ms: number };
}

interface Found {
  disk: LocalDisk;
  /** As in /sys. */
  device: string;
  source: DiskSource;
  leftOut: Extent[];
  first: TrackedPass;
  changes: BlockSet | { unknown: string };
  parentId: string | undefined;
  bootId: string;
  scannedAt: string;
  mayReadDiscardedDifferently: boolean;
}

/** A disk in use that is copied with the tracker's help, from its first pass to its base. */
export class LiveDisk {
  readonly name: string;
  readonly path: string;
  readonly device: string;
  readonly source: DiskSource;
  readonly leftOut: readonly Extent[];
  /** What is copied of it. */
  readonly used: BlockSet;
  /** The pass that the first reading is made from. */
  readonly first: TrackedPass;
  /** Whether the first pass is so small that it waits in memory, and the first reading reads none of it. */
  readonly isFirstSmall: boolean;
  readonly memory: PassMemory;
  readonly #found: Found;
  #missedBlocks = 0;
  #unlikeBlocks = 0;
  #settlement: Settlement = { failure: "it was in use, and its copy was not brought to one instant" };

  private constructor(found: Found) {
    const { disk, device, source, leftOut, first } = found;
    this.name = disk.name;
    this.path = disk.path;
    this.device = device;
    this.source = source;
    this.leftOut = leftOut;
    this.used = blocksOutside(source.sizeBytes, leftOut);
    this.first = first;
    this.memory = new PassMemory(disk.path);
    this.isFirstSmall = !("unknown" in found.changes) && this.memory.hasRoomFor(found.changes);
    this.#found = found;
  }

  /** Begins a recovery point of a disk that is tracked. */
  static async open(disk: LocalDisk, deps: OpenDeps): Promise<LiveDisk> {
    const { tracker, bases, tree, request, now } = deps;
    const device = (await tree.numberOf(disk.path)) ?? "";
    const source = await openDisk(disk.path);
    try {
      const leftOut = await findSwapSpace(tree, device, source.sizeBytes);
      const parent = request.parents.get(disk.name);
      const base = parent && (await bases.find(disk.name, parent.pointId));
      const first = await tracker.begin(disk.path);
      const reason = parent ? whyScan(base, first.status, now) : "this is its first copy";
      if (reason === undefined) addReturned(first.changed, base?.leftOut ?? [], leftOut);
      return new LiveDisk({
        ...{ disk, device, source, leftOut, first, bootId: now.bootId, parentId: parent?.pointId },
        mayReadDiscardedDifferently: (await deps.factsOf(disk.path))?.mayReadDiscardedDifferently ?? false,
        changes: reason === undefined ? first.changed : { unknown: reason },
        scannedAt: reason === undefined && base ? base.scannedAt : new Date(now.ms).toISOString(),
      });
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  get view(): DiskView {
    const { source, used } = this;
    const changes = this.isFirstSmall ? new BlockSet(source.sizeBytes, BLOCK_BYTES) : this.#found.changes;
    return {
      ...{ name: this.name, source, used, changes },
      content: contentName(this.first.status, this.leftOut),
      isLive: true,
      copy: async () => liveCopyOf(this.#settlement),
      remark: () => [this.#remarkOnSample(), remarkOn(this.#settlement)].filter(Boolean).join("; "),
      missedBlocks: () => this.#missedBlocks,
    };
  }

  /** Notes that the tracker did not notice changes of `blocks` blocks of the sample. */
  noteMissed(blocks: number): void {
    this.#missedBlocks = blocks;
  }

  /** Whether blocks that nothing wrote to may read differently than before. */
  get mayReadDiscardedDifferently(): boolean {
    return this.#found.mayReadDiscardedDifferently;
  }

  /** Notes that `blocks` blocks of the sample read differently on such a disk, which was then read whole. */
  noteUnlike(blocks: number): void {
    this.#unlikeBlocks = blocks;
  }

  /** How the copy ended. */
  settle(settlement: Settlement): void {
    this.#settlement = settlement;
  }

  /** Why the tracker cannot have seen every write since the first pass began; `undefined` if it has. */
  gapUntil(status: DiskStatus): string | undefined {
    const { identity } = this.first.status;
    return distrust(baseOf(this.first.status), status, { bootId: this.#found.bootId, identity });
  }

  /** Why what was left out should not have been; `undefined` if all of it is still swap space. */
  async whyLeftOutIsMissing(tree: DeviceTree): Promise<string | undefined> {
    if (this.leftOut.length === 0) return undefined;
    const now = await findSwapSpace(tree, this.device, this.source.sizeBytes);
    const isStillSwap = subtract([...this.leftOut], now).length === 0;
    return isStillSwap
      ? undefined
      : "swap space was taken out of use while it was copied without its content";
  }

  /** Keeps what the next run must know if this copy is in the recovery point. */
  keepBase(bases: TrackedBases, pointId: string): Promise<void> {
    const { scannedAt, parentId } = this.#found;
    // As of the first pass: what the tracker missed after that shows in the next run.
    const tracked = baseOf(this.first.status);
    return bases.add(this.name, { pointId, scannedAt, leftOut: [...this.leftOut], tracked }, parentId);
  }

  close(): Promise<void> {
    return this.source.close();
  }

  #remarkOnSample(): string | undefined {
    if (this.#unlikeBlocks === 0) return undefined;
    return `${this.#unlikeBlocks} sampled blocks read differently, as this disk may do with discarded ones, so all of it was read`;
  }
}

function whyScan(
  base: PointBase | undefined,
  status: DiskStatus,
  now: { bootId: string; ms: number },
): string | undefined {
  const gap = distrust(base?.tracked, status, { bootId: now.bootId, identity: status.identity });
  if (gap !== undefined || !base) return gap ?? "it was not tracked when the last recovery point was taken";
  const age = now.ms - Date.parse(base.scannedAt);
  if (age >= 0 && age < SCAN_EVERY_MS) return undefined;
  return "everything is read and compared every 30 days, and that is due";
}

/** Parts that the parent has not, and that are no swap space any more. */
function addReturned(changed: BlockSet, before: readonly Extent[], now: readonly Extent[]): void {
  for (const { offset, length } of subtract([...before], [...now]))
    changed.add(offset, Math.min(length, Math.max(0, changed.sizeBytes - offset)));
}

/**
 * The same as long as the tracker has seen every write since the first attempt at this recovery point, and
 * the same is left out: its next pass then has everything that changed after an earlier attempt read it.
 */
function contentName(status: DiskStatus, leftOut: readonly Extent[]): string {
  const { bootId, generation, sequence, lost, passthrough, beyond, unseenBytes, skipped } = status;
  const both = [Math.min(skipped.issue, skipped.complete), Math.min(skipped.queue, skipped.end)];
  const parts = leftOut.map(({ offset, length }) => `${offset}+${length}`);
  const facts = [bootId, generation, sequence, lost, passthrough, beyond, unseenBytes, ...both, ...parts];
  return `live ${createHash("sha256").update(facts.join(" ")).digest("hex")}`;
}
