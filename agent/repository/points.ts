import { hash, randomBytes } from "node:crypto";
import { CausewayError } from "#shared/errors.ts";
import { CAPTURE_AGE_MS } from "#shared/format/ages.ts";
import { SALT_BYTES } from "#shared/format/keys.ts";
import { NodeOpener, topNodes } from "#shared/format/map-walk.ts";
import { packKey, pointKey, prunedKey } from "#shared/format/object-keys.ts";
import { decodePoint, encodePoint, type Point } from "#shared/format/point.ts";
import { ObjectExistsError } from "../store/object-store.ts";
import type { Repository } from "./repository.ts";

/** The capture took longer than its parent is kept, so what it is based on may have been deleted. */
export class CaptureTooOldError extends CausewayError {
  override readonly name = "CaptureTooOldError";
  readonly retryable = false;
  readonly hint = "Capture again: the parts that are already stored are found and not sent again.";
}

/** Another recovery point has this id. */
export class PointExistsError extends CausewayError {
  override readonly name = "PointExistsError";
  readonly retryable = false;
  readonly hint = "Recovery points are never changed. Commit under another id.";
}

/**
 * Makes a recovery point visible, once everything it refers to is durable. Safe to repeat: if a point exists
 * already that differs at most in its time, it succeeds and changes nothing. `times` are milliseconds since
 * 1970: when the capture chose its parent, and now.
 */
export async function commitPoint(
  repository: Repository,
  point: Point,
  times: { startedAt: number; now: number },
): Promise<void> {
  if (times.now - times.startedAt > CAPTURE_AGE_MS) {
    if (point.parentId !== null)
      throw new CaptureTooOldError("the capture took longer than its parent is kept");
    await requirePacks(repository, point);
  }
  const bytes = encodePoint(point, { dataKey: repository.dataKey, salt: randomBytes(SALT_BYTES) });
  const key = pointKey(repository.sourceId, point.pointId);
  try {
    await repository.store.put(key, bytes, { sha256: hash("sha256", bytes) });
  } catch (error) {
    if (!(error instanceof ObjectExistsError)) throw error;
    const found = await readPoint(repository, point.pointId);
    if (JSON.stringify(found) !== JSON.stringify({ ...point, createdAt: found.createdAt }))
      throw new PointExistsError(`${key} is another point`);
  }
}

/**
 * A first capture has no parent, and may take weeks. Its packs stay while its conversion holds the source;
 * after that they may have been collected. Throws `CaptureTooOldError` if one is missing.
 */
async function requirePacks(repository: Repository, point: Point): Promise<void> {
  const { store, sourceId } = repository;
  const stored = new Set<string>();
  for await (const { key } of store.list(packKey(sourceId, ""))) stored.add(key);
  const requireStored = (name: Buffer): string => {
    const key = packKey(sourceId, name);
    if (!stored.has(key)) throw new CaptureTooOldError(`${key} was collected before the capture ended`);
    return key;
  };
  const opener = new NodeOpener(repository);
  const left = topNodes(point);
  for (let place = left.pop(); place; place = left.pop()) {
    const { offset, sealedBytes, pack } = place.blob;
    const sealed = await store.get(requireStored(pack.name), { range: { offset, bytes: sealedBytes } });
    const { nodes, packs } = opener.open(place, sealed);
    for (const name of packs) requireStored(name);
    left.push(...nodes);
  }
}

/** A recovery point; `ObjectNotFoundError` if there is none of this id. */
export async function readPoint(repository: Repository, pointId: string): Promise<Point> {
  const { sourceId, dataKey } = repository;
  const key = pointKey(sourceId, pointId);
  return decodePoint(await repository.store.get(key), { dataKey, sourceId, pointId }, key);
}

/** The ids of all recovery points that are not marked for deletion. */
export async function listPoints({
  store,
  sourceId,
}: Pick<Repository, "store" | "sourceId">): Promise<string[]> {
  const pruned = new Set(await idsUnder(store, prunedKey(sourceId, "")));
  return (await idsUnder(store, pointKey(sourceId, ""))).filter((id) => !pruned.has(id));
}

async function idsUnder(store: Repository["store"], prefix: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { key } of store.list(prefix)) ids.push(key.slice(prefix.length));
  return ids;
}
