import { setImmediate } from "node:timers/promises";
import { BLOCK_BYTES, type BlockNamer, ID_BYTES, ZERO_ID } from "#shared/format/block.ts";
import type { Leaf } from "#shared/format/map-node.ts";
import { FAN_OUT, nodeCount, nodeHash } from "#shared/format/tree.ts";
import type { DiskReader } from "../disk/reader.ts";
import type { MapEntry, VerifiedMap } from "../repository/verified-map.ts";
import { leafIds } from "./leaf-ids.ts";
import type { RestorePart } from "./restore-plan.ts";

/** 1 GiB of a disk; their nodes take a few MiB of memory. */
const BATCH_LEAVES = 64;
/** How many nodes are compared before other work gets a turn. */
const NODES_AT_ONCE = 4096;

/** A map as far as a comparison needs it. */
export type EarlierMap = Pick<VerifiedMap, "entryOf" | "leaves">;

/**
 * The blocks of a disk in which it differs from any of the earlier ones. What has equal hashes is not even
 * looked at. The disks may have different sizes; beyond its end, each is zeros.
 */
export async function* changedParts(
  next: VerifiedMap,
  earlier: readonly EarlierMap[],
): AsyncGenerator<RestorePart[], void> {
  for await (const batch of inBatches(differingLeaves(next, earlier))) {
    const placedIn = (map: number) =>
      batch.flatMap(({ index, entries }) => {
        const entry = entries[map];
        return entry ? [{ index, entry }] : [];
      });
    const [leaves, ...others] = await Promise.all(
      [next, ...earlier].map((map, at) => map.leaves(placedIn(at))),
    );
    yield batch.map(({ index }) => {
      const leaf = leaves?.get(index);
      const before = others.map((of) => of.get(index));
      const slots = slotsWhere((slot) => before.some((other) => !idAt(other, slot).equals(idAt(leaf, slot))));
      return { index, leaf, slots };
    });
  }
}

/** A leaf of a written disk that is not as it must be. */
export type OnDifference = (index: number, found: Buffer) => Promise<void> | void;

/**
 * The blocks in which a written disk differs from its map: reads these leaves of the disk. Calls
 * `onDifference` for each leaf that differs, with the hash of what was found.
 */
export async function* differingParts(
  map: VerifiedMap,
  written: { reader: DiskReader; namer: BlockNamer; indexes: Iterable<number> },
  onDifference: OnDifference = () => {},
): AsyncGenerator<RestorePart[], void> {
  for await (const { index, ids } of leafIds(written.reader, written.namer, written.indexes)) {
    const found = nodeHash(0, ids);
    const entry = await map.entryOf(0, index);
    if (!entry || found.equals(entry.hash)) continue;
    await onDifference(index, found);
    const leaf = (await map.leaves([{ index, entry }])).get(index);
    const isOther = (slot: number) =>
      !ids.subarray(slot * ID_BYTES, (slot + 1) * ID_BYTES).equals(idAt(leaf, slot));
    yield [{ index, leaf, slots: slotsWhere(isOther) }];
  }
}

/** A leaf as the next map and each earlier one refer to it, in this order. */
interface DifferingLeaf {
  index: number;
  entries: (MapEntry | undefined)[];
}

async function* differingLeaves(
  next: VerifiedMap,
  earlier: readonly EarlierMap[],
): AsyncGenerator<DifferingLeaf, void> {
  const { sizeBytes } = next.disk;
  let compared = 0;
  async function* within(level: number, index: number): AsyncGenerator<DifferingLeaf, void> {
    if (++compared % NODES_AT_ONCE === 0) await setImmediate();
    const entries = await Promise.all([next, ...earlier].map((map) => map.entryOf(level, index)));
    const [first, ...others] = entries;
    if (others.every((other) => first && other?.hash.equals(first.hash))) return;
    if (level === 0) {
      yield { index, entries };
      return;
    }
    const end = Math.min((index + 1) * FAN_OUT, nodeCount(sizeBytes, level - 1));
    for (let child = index * FAN_OUT; child < end; child++) yield* within(level - 1, child);
  }
  yield* within(next.topLevel, 0);
}

async function* inBatches<T>(items: AsyncIterable<T>): AsyncGenerator<T[], void> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < BATCH_LEAVES) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

const slotsWhere = (differs: (slot: number) => boolean): Set<number> =>
  new Set(Array.from({ length: FAN_OUT }, (_, slot) => slot).filter(differs));

const idAt = (leaf: Leaf | undefined, slot: number): Buffer => leaf?.blocks[slot]?.id ?? ZERO_ID;

/** How many bytes of these parts a restore writes, zeros not counted. */
export function bytesToWrite(parts: readonly RestorePart[]): number {
  const blocksOf = ({ leaf, slots }: RestorePart) =>
    leaf?.blocks.filter((block, slot) => block && (!slots || slots.has(slot))).length ?? 0;
  return parts.reduce((sum, part) => sum + blocksOf(part) * BLOCK_BYTES, 0);
}
