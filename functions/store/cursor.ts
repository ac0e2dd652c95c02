/** Where a list goes on: the keys of the last item shown, opaque to callers. */
import { z } from "zod";
import { InvalidInputError } from "#shared/errors.ts";

const Key = z.string().min(1).max(300);
const Position = z.strictObject({ pk: Key, sk: Key, gsi1pk: Key.optional(), gsi1sk: Key.optional() });
export type Position = z.infer<typeof Position>;

export function encodeCursor(position: Position): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

/** Throws `InvalidInputError` unless it is a cursor of the list in `partition`, so that nobody can page into another one. */
export function decodeCursor(cursor: string, partition: { index: boolean; key: string }): Position {
  const position = Position.safeParse(jsonIn(cursor));
  const own =
    position.success && (partition.index ? position.data.gsi1pk : position.data.pk) === partition.key;
  if (!own || partition.index !== (position.data.gsi1sk !== undefined)) {
    throw new InvalidInputError([{ path: "cursor", message: "is not a cursor of this list" }]);
  }
  return position.data;
}

function jsonIn(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    return undefined; // The schema refuses it.
  }
}
