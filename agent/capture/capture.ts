import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { BlockSet } from "#shared/domain/block-set.ts";
import { totalBytes } from "#shared/domain/extents.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { decodeLeaf } from "#shared/format/map-node.ts";
import { type MappedDisk, toMapRoot } from "#shared/format/point.ts";
import { leafCount } from "#shared/format/tree.ts";
import { MapReader } from "../repository/map-reader.ts";
import type { CaptureOptions, CaptureSettings, CaptureStatistics } from "./capture-options.ts";
import { CapturePipeline } from "./capture-pipeline.ts";
import type { CaptureIdentity, JournalLeaf } from "./journal.ts";
import { keptNode, LEAF_BYTES, leafHash } from "./leaf-assembly.ts";
import { MapBuilder, type NewNode } from "./map-builder.ts";

/**
 * About 25 MiB of shared buffers, and two busy cores; docs/decisions/0013 gives the memory of the whole
 * process.
 */
export const defaultCaptureSettings: CaptureSettings = {
  workers: 2,
  readSlots: 6,
  packBuffers: 4,
  packBytes: 4 * 1024 * 1024,
  knownBlocks: 16 * 1024,
  uploads: 2,
  mapPackBytes: 1 * 1024 * 1024,
  maxBadBytes: 64 * 1024 * 1024,
};

/** How many empty leaves are skipped before other work gets a turn. */
const EMPTY_LEAVES_AT_ONCE = 1024;

export interface CapturedDisk {
  /** For the recovery point; everything in it is durable. */
  disk: MappedDisk;
  /** When the first attempt at this capture chose its parent: for `commitPoint`. */
  startedAt: number;
  statistics: CaptureStatistics;
}

/**
 * Captures one disk into the repository: reads, tests for zeros, hashes, compresses, seals, packs and
 * uploads, on worker threads. Everything the result refers to is durable. Throws `DiskShrankError`,
 * `TooManyReadErrorsError`, the store's errors, or the signal's reason; the journal lets the next attempt
 * reuse what was stored until then.
 */
export async function captureDisk(options: CaptureOptions): Promise<CapturedDisk> {
  const { disk, journal } = options;
  // In a disk of another size, positions would still match, but the trees' shapes would not.
  const previous = options.previous?.sizeBytes === disk.sizeBytes ? options.previous : undefined;
  const fresh: CaptureIdentity = {
    captureId: randomBytes(16).toString("hex"),
    sourceId: options.repository.sourceId,
    diskName: options.diskName,
    sizeBytes: disk.sizeBytes,
    previous: previous?.contentHash ?? null,
    startedAt: options.now(),
  };
  const capture = new Capture(options, previous, (await journal?.open(fresh)) ?? fresh);
  try {
    return await capture.run();
  } finally {
    await capture.end();
    await journal?.close();
  }
}

/** One attempt at a capture: the leaves of the disk in their order, and what the map and the totals say. */
class Capture {
  readonly #options: CaptureOptions;
  readonly #startedAt: number;
  readonly #used: BlockSet;
  readonly #previous: MapReader | undefined;
  readonly #pipeline: CapturePipeline;
  readonly #map: MapBuilder;
  readonly #totals = { usedBlocks: 0, badRanges: 0, badBytes: 0 };

  constructor(
    options: CaptureOptions,
    previous: MappedDisk | undefined,
    { captureId, startedAt }: CaptureIdentity,
  ) {
    const { repository, disk, diskName } = options;
    const settings = { ...defaultCaptureSettings, ...options.settings };
    const origin = { captureId: Buffer.from(captureId, "hex"), startedAt, diskName };
    this.#options = options;
    this.#startedAt = startedAt;
    this.#used = usedBlocks(options.used, disk.sizeBytes);
    this.#previous = previous && new MapReader(repository, previous);
    this.#pipeline = new CapturePipeline({ ...options, settings, origin });
    this.#map = new MapBuilder({
      sizeBytes: disk.sizeBytes,
      dataKey: repository.dataKey,
      origin,
      packBytes: settings.mapPackBytes,
      storePack: (name, bytes) => this.#pipeline.uploader.upload(name, bytes),
      previousNode: async (level, index) => this.#previous?.refOf(level, index),
    });
  }

  async run(): Promise<CapturedDisk> {
    const { disk, diskName, journal } = this.#options;
    try {
      this.#pipeline.start(this.#used.bytesWithin(0, disk.sizeBytes), async (node, record) => {
        // Everything the leaf refers to is durable only now, so the journal must not have it earlier.
        await journal?.append(record);
        await this.#addLeaf(node, record);
      });
      for (let index = 0; index < leafCount(disk.sizeBytes); index++) await this.#captureLeaf(index);
      await this.#pipeline.finish();
      const { root, contentHash } = await this.#pipeline.orFailure(this.#map.finish());
      const { usedBlocks, badRanges, badBytes } = this.#totals;
      return {
        startedAt: this.#startedAt,
        statistics: this.#pipeline.statistics(),
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

  async #captureLeaf(index: number): Promise<void> {
    const { journal } = this.#options;
    const within = this.#used.within(index * LEAF_BYTES, LEAF_BYTES);
    const before = (await this.#previous?.leaf(index)) ?? {};
    if (journal?.has(index)) {
      const record = await journal.read(index);
      await this.#addLeaf(await resumedNode(record, this.#previous), record);
      this.#pipeline.skip(totalBytes(within));
    } else if (within.length === 0 && before.leaf === undefined) {
      // Quick to determine again, so the journal does not record it: a large disk has a million of these.
      await this.#map.addLeaf(index, { kind: "zero", kept: true });
      if (index % EMPTY_LEAVES_AT_ONCE === 0) await setImmediate();
    } else {
      await this.#pipeline.readLeaf(index, within, before);
    }
  }

  async #addLeaf(node: NewNode, record: JournalLeaf): Promise<void> {
    this.#totals.usedBlocks += record.usedBlocks;
    this.#totals.badRanges += record.badRanges;
    this.#totals.badBytes += record.badBytes;
    await this.#map.addLeaf(record.index, node);
  }
}

function usedBlocks(used: BlockSet | undefined, sizeBytes: number): BlockSet {
  const fits = used?.sizeBytes === sizeBytes && used.blockBytes === BLOCK_BYTES;
  return fits ? used : BlockSet.all(sizeBytes, BLOCK_BYTES);
}

async function resumedNode(record: JournalLeaf, previousMap: MapReader | undefined): Promise<NewNode> {
  if (record.kind === "new") {
    const leaf = decodeLeaf(record.bytes, record.index, "the capture's journal");
    return { kind: "new", bytes: record.bytes, hash: leafHash(leaf) };
  }
  const { leaf, child } = (await previousMap?.leaf(record.index)) ?? {};
  if (record.kind === "kept" && leaf && child) return keptNode(leaf, child);
  return { kind: "zero", kept: leaf === undefined };
}
