/** A collection between two slices: what is kept of it as an object. */
import { gunzipSync, gzipSync } from "node:zlib";
import * as z from "zod";
import { fromMapRoot, MapRoot, RepositoryId, toMapRoot } from "#shared/format/point.ts";
import { Mark } from "./mark.ts";
import { NameSet } from "./name-set.ts";

/** The mark of one source, and from what it began. */
export interface Snapshot {
  /** Milliseconds since 1970 by the bucket's clock: ages are measured at this time. */
  ageAt: number;
  living: number;
  /** Points that are to be deleted. */
  dead: string[];
  mark: Mark;
}

const Encoded = z.strictObject({
  ageAt: z.int(),
  living: z.int().nonnegative(),
  dead: z.array(RepositoryId),
  left: z.array(
    MapRoot.extend({ level: z.int().nonnegative(), index: z.int().nonnegative(), isBase: z.boolean() }),
  ),
  named: z.base64(),
  seen: z.base64(),
});

export function encodeSnapshot({ ageAt, living, dead, mark }: Snapshot): Buffer {
  const { named, seen, left } = mark.state;
  const encoded: z.infer<typeof Encoded> = {
    ageAt,
    living,
    dead,
    left: left.map(({ level, index, blob, isBase }) => ({ ...toMapRoot(blob), level, index, isBase })),
    named: named.toBuffer().toString("base64"),
    seen: seen.toBuffer().toString("base64"),
  };
  return gzipSync(JSON.stringify(encoded), { level: 1 });
}

/** Throws for anything that is no snapshot: the collection of the source then fails, and deletes nothing. */
export function decodeSnapshot(bytes: Buffer): Snapshot {
  const { left, named, seen, ...rest } = Encoded.parse(JSON.parse(gunzipSync(bytes).toString()));
  const mark = new Mark({
    named: new NameSet(32, Buffer.from(named, "base64")),
    seen: new NameSet(36, Buffer.from(seen, "base64")),
    left: left.map(({ level, index, isBase, ...root }) => ({
      level,
      index,
      isBase,
      blob: fromMapRoot(root),
    })),
  });
  return { ...rest, mark };
}
