/** Where a list continues: the keys of the last item on the page, opaque to callers. */
import * as z from "zod";
import { InvalidInputError } from "#shared/errors.ts";

const Key = z.string().min(1).max(300);
const TablePosition = z.strictObject({ pk: Key, sk: Key });
const IndexPosition = z.strictObject({ pk: Key, sk: Key, gsi1pk: Key, gsi1sk: Key });
export type Position = z.infer<typeof TablePosition> | z.infer<typeof IndexPosition>;

export function encodeCursor(position: Position): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

/**
 * Throws `InvalidInputError` unless it is a cursor of the list in `partition`, so that a caller cannot page
 * into another list.
 */
export function decodeCursor(cursor: string, partition: { index: boolean; key: string }): Position {
  const position = (partition.index ? IndexPosition : TablePosition).safeParse(jsonIn(cursor)).data;
  const list = position && ("gsi1pk" in position ? position.gsi1pk : position.pk);
  if (!position || list !== partition.key) {
    throw new InvalidInputError([{ path: "cursor", message: "is not a cursor of this list" }]);
  }
  return position;
}

function jsonIn(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    return undefined; // The schema refuses it.
  }
}
