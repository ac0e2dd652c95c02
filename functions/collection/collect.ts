import { DamagedObjectError, UnsupportedFormatError } from "#shared/format/errors.ts";
import { decodeKeyObject } from "#shared/format/key-object.ts";
import { topNodes } from "#shared/format/map-walk.ts";
import { keyObjectName, pointKey } from "#shared/format/object-keys.ts";
import { decodePoint, type Point } from "#shared/format/point.ts";
import type { CollectionResult } from "#shared/protocol/resources.ts";
import type { DataKeys, RepositoryObjects } from "../ports.ts";
import { Mark } from "./mark.ts";
import { decodeSnapshot, encodeSnapshot, type Snapshot } from "./snapshot.ts";
import { findGarbage, type Garbage, sortPoints } from "./sweep.ts";

/** How many objects are deleted with one request. */
const DELETED_AT_ONCE = 1000;
const POINTS_AT_ONCE = 16;
/** Larger objects are no points, and no keys. They are not read whole, since a source can write any bytes. */
const MAX_POINT_BYTES = 16 * 1024 * 1024;
const MAX_KEY_BYTES = 64 * 1024;

export interface CollectDeps {
  objects: RepositoryObjects;
  keys: DataKeys;
  /**
   * Since when the conversion or protection run that holds the source runs, in milliseconds since 1970;
   * `undefined` if none does.
   */
  heldSince: (sourceId: string) => Promise<number | undefined>;
  /** Whether the slice has used its time. */
  stop: () => boolean;
}

export interface Slice {
  /** The collection's id: snapshots of one never meet those of another. */
  collectionId: string;
  sourceId: string;
  /** From 0. */
  number: number;
  dryRun: boolean;
}

/** What was deleted of a source, or would be. */
export type Collected = Omit<CollectionResult, "sourceId" | "dryRun" | "at">;

/**
 * Does one slice of the collection of one source's garbage: `undefined` if another slice must follow. The
 * mark comes first and decides; then the points that were pruned long enough ago go, then the packs. So a
 * point that is visible never lacks a pack. Anything unexpected means that nothing is deleted.
 *
 * A repeated slice changes nothing more. A slice that is lost, late or done twice at once is harmless: what
 * the mark found to be garbage can never be named again.
 */
export async function collectSlice(slice: Slice, deps: CollectDeps): Promise<Collected | undefined> {
  try {
    const snapshot = await markedFurther(slice, deps);
    return snapshot.mark.complete ? await sweep(slice, snapshot, deps) : undefined;
  } catch (error) {
    if (!(error instanceof DamagedObjectError || error instanceof UnsupportedFormatError)) throw error;
    return { living: 0, points: 0, packs: 0, bytes: 0, problem: error.message };
  }
}

function snapshotKey({ collectionId, sourceId }: Slice, number: number): string {
  return `collections/${collectionId}/${sourceId}/${number}`;
}

/** Marks until the slice's time is used, and keeps the result unless it is complete in the first slice. */
async function markedFurther(slice: Slice, deps: CollectDeps): Promise<Snapshot> {
  const { objects, stop } = deps;
  const before = slice.number > 0 ? await objects.get(snapshotKey(slice, slice.number - 1)) : undefined;
  if (slice.number > 0 && !before) throw new Error(`slice ${slice.number} finds nothing of the one before`);
  const dataKey = await unwrappedKey(slice.sourceId, deps);
  const snapshot = before ? decodeSnapshot(before) : await begin(slice.sourceId, dataKey, deps);
  if (!snapshot.mark.complete) {
    await snapshot.mark.run({ sourceId: slice.sourceId, dataKey: dataKey ?? Buffer.alloc(0), objects }, stop);
  }
  if (!snapshot.mark.complete)
    await objects.putNew(snapshotKey(slice, slice.number), encodeSnapshot(snapshot));
  return snapshot;
}

/** Takes the bucket's time before anything else, so that what happens from now on counts as new. */
async function begin(
  sourceId: string,
  dataKey: Uint8Array | undefined,
  deps: CollectDeps,
): Promise<Snapshot> {
  const { objects, heldSince } = deps;
  const now = await objects.now();
  // A capture that runs may need whatever was needed when it began, however long ago that was.
  const ageAt = Math.min(now, (await heldSince(sourceId)) ?? now);
  const { living, dead } = await sortPoints(sourceId, ageAt, objects);
  const points: Point[] = [];
  for (let at = 0; at < living.length; at += POINTS_AT_ONCE) {
    const some = living.slice(at, at + POINTS_AT_ONCE);
    points.push(...(await Promise.all(some.map((id) => readPoint(sourceId, id, dataKey, objects)))));
  }
  return { ageAt, living: living.length, dead, mark: Mark.begin(points.flatMap(topNodes)) };
}

async function readPoint(
  sourceId: string,
  pointId: string,
  dataKey: Uint8Array | undefined,
  objects: RepositoryObjects,
): Promise<Point> {
  const key = pointKey(sourceId, pointId);
  const bytes = await objects.get(key, { offset: 0, bytes: MAX_POINT_BYTES });
  if (!bytes) throw new DamagedObjectError(key, "it is empty, or disappeared meanwhile");
  if (!dataKey) throw new DamagedObjectError(keyObjectName(sourceId), "it is missing");
  return decodePoint(bytes, { dataKey, sourceId, pointId }, key);
}

/** `undefined` if the source has none yet. */
async function unwrappedKey(
  sourceId: string,
  { objects, keys }: Pick<CollectDeps, "objects" | "keys">,
): Promise<Uint8Array | undefined> {
  const name = keyObjectName(sourceId);
  const bytes = await objects.get(name, { offset: 0, bytes: MAX_KEY_BYTES });
  if (!bytes) return undefined;
  const object = decodeKeyObject(bytes, name);
  if (object.sourceId !== sourceId) throw new DamagedObjectError(name, "it belongs to another source server");
  return keys.unwrap(Buffer.from(object.wrappedKey, "base64"), { sourceId }, object.keyId);
}

async function sweep(
  { sourceId, dryRun }: Slice,
  snapshot: Snapshot,
  { objects }: CollectDeps,
): Promise<Collected> {
  const garbage = await findGarbage(sourceId, snapshot, objects);
  if (!dryRun) await deleteAll(garbage, objects);
  return {
    living: snapshot.living,
    points: garbage.points.length,
    packs: garbage.packs.length,
    bytes: [...garbage.points, ...garbage.packs].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

/** Points first: after a crash in between, no visible point lacks a pack. */
async function deleteAll({ points, packs }: Garbage, objects: RepositoryObjects): Promise<void> {
  for (const list of [points, packs]) {
    const keys = list.map(({ key }) => key);
    for (let at = 0; at < keys.length; at += DELETED_AT_ONCE)
      await objects.delete(keys.slice(at, at + DELETED_AT_ONCE));
  }
}
