import { setImmediate } from "node:timers/promises";
import type { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { decodeLeaf, type Leaf, leafHash } from "#shared/format/map-node.ts";
import { encodeLeafOn } from "#shared/format/map-patch.ts";
import { type MappedDisk, toMapRoot } from "#shared/format/point.ts";
import { FAN_OUT, nodeCount, topLevel } from "#shared/format/tree.ts";
import { type MappedLeaf, MapReader } from "../repository/map-reader.ts";
import { type CaptureOptions, defaultCaptureSettings, type PipelineStatistics } from "./capture-options.ts";
import { CapturePipeline, LITTLE_BYTES } from "./capture-pipeline.ts";
import type { CaptureIdentity, JournalLeaf } from "./journal.ts";
import { keptNode, LEAF_BYTES } from "./leaf-assembly.ts";
import { bytesOf, readsOfLeaf } from "./leaf-reads.ts";
import { MapBuilder, type NewNode } from "./map-builder.ts";

/** How many empty leaves are skipped before other work gets a turn. */
const EMPTY_LEAVES_AT_ONCE = 1024;

/** What this attempt reads, and what it compares with. */
export interface CapturePlan {
  previous: MappedDisk | undefined;
  used: BlockSet;
  /** The only blocks that are read; everything else is kept. If absent, everything is read. */
  changed: BlockSet | undefined;
  identity: CaptureIdentity;
}

/** One attempt at a capture: the leaves of the disk in their order, and what the map and the totals say. */
export class DiskCapture {
  readonly #options: CaptureOptions;
  readonly #plan: CapturePlan;
  readonly #previous: MapReader | undefined;
  readonly #pipeline: CapturePipeline;
  readonly #map: MapBuilder;
  readonly #totals: Counts;

  constructor(options: CaptureOptions, plan: CapturePlan) {
    const { repository, disk, diskName } = options;
    const { captureId, startedAt } = plan.identity;
    const settings = { ...defaultCaptureSettings, ...options.settings };
    const origin = { captureId: Buffer.from(captureId, "hex"), startedAt, diskName };
    this.#options = options;
    this.#plan = plan;
    // Leaves that are kept are not read, so their counts are known only as a part of the parent's.
    this.#totals = plan.changed && plan.previous ? countsOfDisk(plan.previous) : { ...NOTHING };
    const { previous, changed } = plan;
    const wants = changed && ((leaf: number) => changed.bytesWithin(leaf * LEAF_BYTES, LEAF_BYTES) > 0);
    this.#previous = previous && new MapReader(repository, previous, wants);
    this.#pipeline = new CapturePipeline({ ...options, settings, origin, isLittle: this.#isLittle() });
    this.#map = new MapBuilder({
      sizeBytes: disk.sizeBytes,
      dataKey: repository.dataKey,
      origin,
      packBytes: settings.mapPackBytes,
      storePack: (name, bytes) => this.#pipeline.uploader.upload(name, bytes),
    });
  }

  async run(): Promise<{
    disk: MappedDisk;
    startedAt: number;
    statistics: PipelineStatistics & { changedBytes: number };
  }> {
    const { disk, diskName, journal } = this.#options;
    try {
      this.#pipeline.start(this.#bytesToRead(), async (node, record) => {
        // Everything the leaf refers to is durable only now, so the journal must not have it earlier.
        await journal?.append(record);
        await this.#addLeaf(node, record);
      });
      await this.#captureNode(topLevel(disk.sizeBytes), 0);
      await this.#pipeline.finish();
      const { root, contentHash } = await this.#pipeline.orFailure(this.#map.finish());
      const { usedBlocks, changedBlocks, badRanges, badBytes } = this.#totals;
      return {
        startedAt: this.#plan.identity.startedAt,
        statistics: { ...this.#pipeline.statistics(), changedBytes: changedBlocks * BLOCK_BYTES },
        disk: {
          name: diskName,
          sizeBytes: disk.sizeBytes,
          root: root ? toMapRoot(root) : null,
          contentHash: contentHash.toString("hex"),
          usedBytes: usedBlocks * BLOCK_BYTES,
          ...{ badRanges, badBytes },
        },
      };
    } catch (error) {
      // The first failure is the cause; later ones follow from it.
      throw this.#pipeline.failure ?? error;
    }
  }

  end(): Promise<void> {
    return this.#pipeline.end();
  }

  #isLittle(): boolean {
    const { changed, previous } = this.#plan;
    // What could not be read is read again with the leaf that it is in, and is not in `changed`.
    return changed !== undefined && previous?.badRanges === 0 && this.#bytesToRead() <= LITTLE_BYTES;
  }

  #bytesToRead(): number {
    const { used, changed } = this.#plan;
    const { sizeBytes } = this.#options.disk;
    if (!changed) return used.bytesWithin(0, sizeBytes);
    return changed
      .within(0, sizeBytes)
      .reduce((sum, { offset, length }) => sum + used.bytesWithin(offset, length), 0);
  }

  /** Captures what is under a node of the map, or keeps the node if nothing under it may have changed. */
  async #captureNode(level: number, index: number): Promise<void> {
    const { disk } = this.#options;
    const { changed } = this.#plan;
    const bytes = LEAF_BYTES * FAN_OUT ** level;
    if (changed && level < topLevel(disk.sizeBytes) && changed.bytesWithin(index * bytes, bytes) === 0) {
      const child = await this.#previous?.childOf(level, index);
      await this.#map.add(level, index, child ? { kind: "kept", ref: child } : { kind: "zero", kept: true });
      return;
    }
    if (level === 0) return this.#captureLeaf(index);
    this.#map.open(level, index, await this.#previous?.mappedNode(level, index));
    const end = Math.min((index + 1) * FAN_OUT, nodeCount(disk.sizeBytes, level - 1));
    for (let child = index * FAN_OUT; child < end; child++) await this.#captureNode(level - 1, child);
  }

  async #captureLeaf(index: number): Promise<void> {
    const { journal, disk, isPartial = false } = this.#options;
    const used = this.#plan.used.within(index * LEAF_BYTES, LEAF_BYTES);
    const before = (await this.#previous?.leaf(index)) ?? {};
    if (used.length === 0 && before.leaf === undefined) {
      // Quick to determine again, so the journal does not record it: a large disk has a million of these.
      await this.#map.add(0, index, { kind: "zero", kept: true });
      if (index % EMPTY_LEAVES_AT_ONCE === 0) await setImmediate();
      return;
    }
    const { changed } = this.#plan;
    const { sizeBytes } = disk;
    const reads = readsOfLeaf({ index, sizeBytes, used, changed, isPartial, before: before.leaf });
    if (changed) this.#count(countsOfLeaf(before.leaf), -1);
    if (journal?.has(index)) {
      const record = await journal.read(index);
      await this.#addLeaf(resumedNode(record, before), record);
      this.#pipeline.skip(bytesOf(reads));
    } else if (reads.length === 0) {
      const { leaf, child } = before;
      this.#count(countsOfLeaf(leaf), 1);
      await this.#map.add(0, index, leaf && child ? keptNode(leaf, child) : { kind: "zero", kept: true });
    } else {
      await this.#pipeline.readLeaf(index, reads, before);
    }
  }

  async #addLeaf(node: NewNode, record: JournalLeaf): Promise<void> {
    this.#count(record, 1);
    await this.#map.add(0, record.index, node);
  }

  #count(counts: Counts, sign: 1 | -1): void {
    this.#totals.usedBlocks += sign * counts.usedBlocks;
    this.#totals.changedBlocks += sign * counts.changedBlocks;
    this.#totals.badRanges += sign * counts.badRanges;
    this.#totals.badBytes += sign * counts.badBytes;
  }
}

type Counts = Pick<JournalLeaf, "usedBlocks" | "changedBlocks" | "badRanges" | "badBytes">;
const NOTHING: Counts = { usedBlocks: 0, changedBlocks: 0, badRanges: 0, badBytes: 0 };

function countsOfDisk({ usedBytes, badRanges, badBytes }: MappedDisk): Counts {
  return { usedBlocks: usedBytes / BLOCK_BYTES, changedBlocks: 0, badRanges, badBytes };
}

function countsOfLeaf(leaf: Leaf | undefined): Counts {
  if (!leaf) return NOTHING;
  return {
    usedBlocks: leaf.blocks.filter(Boolean).length,
    changedBlocks: 0,
    badRanges: leaf.badRanges.length,
    badBytes: leaf.badRanges.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function resumedNode(record: JournalLeaf, { leaf, child, base }: MappedLeaf): NewNode {
  if (record.kind === "new") {
    const finished = decodeLeaf(record.bytes, record.index, "the capture's journal");
    return { kind: "new", bytes: encodeLeafOn(finished, base).stored, hash: leafHash(finished) };
  }
  if (record.kind === "kept" && leaf && child) return keptNode(leaf, child);
  return { kind: "zero", kept: leaf === undefined };
}
