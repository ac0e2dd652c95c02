/** Which objects of a source are garbage, by docs/format.md. */
import { SAFETY_AGE_MS } from "#shared/format/ages.ts";
import { DamagedObjectError } from "#shared/format/errors.ts";
import { packKey, pointKey, prunedKey } from "#shared/format/object-keys.ts";
import { RepositoryId } from "#shared/format/point.ts";
import type { RepositoryObjects, StoredObject } from "../ports.ts";
import type { NameSet } from "./name-set.ts";

export interface Garbage {
  points: StoredObject[];
  packs: StoredObject[];
}

/**
 * Sorts the points of a source: a point is dead once its mark is older than the safety age. Marks are read
 * once, before the points, so a point marked meanwhile is alive.
 */
export async function sortPoints(
  sourceId: string,
  ageAt: number,
  objects: Pick<RepositoryObjects, "list">,
): Promise<{ living: string[]; dead: string[] }> {
  const marks = await namesBelow(prunedKey(sourceId, ""), objects);
  const expired = new Set(marks.filter(({ object }) => isOld(object, ageAt)).map(({ name }) => name));
  const points = (await namesBelow(pointKey(sourceId, ""), objects)).map(({ name }) => name);
  // Other keys are foreign: no reader takes them for points, so they name no pack.
  const ids = points.filter((name) => RepositoryId.safeParse(name).success);
  return { living: ids.filter((id) => !expired.has(id)), dead: ids.filter((id) => expired.has(id)) };
}

/**
 * The dead points, and the packs that are old and that no living point names. Throws `DamagedObjectError` if
 * a pack is missing that one names.
 */
export async function findGarbage(
  sourceId: string,
  { ageAt, dead, mark: { named } }: { ageAt: number; dead: readonly string[]; mark: { named: NameSet } },
  objects: Pick<RepositoryObjects, "list">,
): Promise<Garbage> {
  const isDead = new Set(dead);
  const points = (await namesBelow(pointKey(sourceId, ""), objects)).filter(({ name }) => isDead.has(name));
  const packs: StoredObject[] = [];
  let found = 0;
  for (const { name, object } of await namesBelow(packKey(sourceId, ""), objects)) {
    // A foreign key is not ours to delete.
    if (!/^[0-9a-f]{64}$/.test(name)) continue;
    if (named.has(Buffer.from(name, "hex"))) found += 1;
    else if (isOld(object, ageAt)) packs.push(object);
  }
  if (found < named.size) {
    throw new DamagedObjectError(
      packKey(sourceId, ""),
      `${named.size - found} packs are missing that recovery points name`,
    );
  }
  return { points: points.map(({ object }) => object), packs };
}

function isOld({ writtenAt }: StoredObject, ageAt: number): boolean {
  return ageAt - writtenAt > SAFETY_AGE_MS;
}

async function namesBelow(
  prefix: string,
  objects: Pick<RepositoryObjects, "list">,
): Promise<{ name: string; object: StoredObject }[]> {
  const found: { name: string; object: StoredObject }[] = [];
  for await (const object of objects.list(prefix))
    found.push({ name: object.key.slice(prefix.length), object });
  return found;
}
