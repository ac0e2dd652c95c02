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
  const { disk, repository, diskName, journal, now } = options;
  const settings = { ...defaultCaptureSettings, ...options.settings };
  // In a disk of another size, positions would still match, but the trees' shapes would not.
  const previous = options.previous?.sizeBytes === disk.sizeBytes ? options.previous : undefined;
  const identity = await identify(options, previous);
  const origin = {
    captureId: Buffer.from(identity.captureId, "hex"),
    startedAt: identity.startedAt,
    diskName,
  };
  const previousMap = previous && new MapReader(repository, previous);
  const pipeline = new CapturePipeline({ ...options, settings, origin });
  const map = new MapBuilder({
    sizeBytes: disk.sizeBytes,
    dataKey: repository.dataKey,
    origin,
    packBytes: settings.mapPackBytes,
    storePack: (name, bytes) => pipeline.uploader.upload(name, bytes),
    previousNode: async (level, index) => previousMap?.refOf(level, index),
  });
  const totals = { usedBlocks: 0, badRanges: 0, badBytes: 0 };
  const addLeaf = async (node: NewNode, record: JournalLeaf) => {
    totals.usedBlocks += record.usedBlocks;
    totals.badRanges += record.badRanges;
    totals.badBytes += record.badBytes;
    await map.addLeaf(record.index, node);
  };
  try {
    const used = usedBlocks(options.used, disk.sizeBytes);
    pipeline.start(used.bytesWithin(0, disk.sizeBytes), async (node, record) => {
      // Everything the leaf refers to is durable only now, so the journal must not have it earlier.
      await journal?.append(record);
      await addLeaf(node, record);
    });
    for (let index = 0; index < leafCount(disk.sizeBytes); index++) {
      const within = used.within(index * LEAF_BYTES, LEAF_BYTES);
      const before = (await previousMap?.leaf(index)) ?? {};
      if (journal?.has(index)) {
        const record = await journal.read(index);
        await addLeaf(await resumedNode(record, previousMap), record);
        pipeline.skip(totalBytes(within));
      } else if (within.length === 0 && before.leaf === undefined) {
        // Quick to determine again, so the journal does not record it: a large disk has a million of these.
        await map.addLeaf(index, { kind: "zero", kept: true });
        if (index % EMPTY_LEAVES_AT_ONCE === 0) await setImmediate();
      } else {
        await pipeline.readLeaf(index, within, before);
      }
    }
    await pipeline.finish();
    const { root, contentHash } = await pipeline.orFailure(map.finish());
    return {
      startedAt: identity.startedAt,
      statistics: pipeline.statistics(),
      disk: {
        name: diskName,
        sizeBytes: disk.sizeBytes,
        root: root ? toMapRoot(root) : null,
        contentHash: contentHash.toString("hex"),
        usedBytes: totals.usedBlocks * BLOCK_BYTES,
        badRanges: totals.badRanges,
        badBytes: totals.badBytes,
      },
    };
  } catch (error) {
    // The first failure is the cause; later ones follow from it.
    throw pipeline.failure ?? error;
  } finally {
    await pipeline.end();
    await journal?.close();
  }

  async function identify(from: CaptureOptions, base: MappedDisk | undefined): Promise<CaptureIdentity> {
    const fresh: CaptureIdentity = {
      captureId: randomBytes(16).toString("hex"),
      sourceId: repository.sourceId,
      diskName,
      sizeBytes: disk.sizeBytes,
      previous: base?.contentHash ?? null,
      startedAt: now(),
    };
    return (await from.journal?.open(fresh)) ?? fresh;
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
