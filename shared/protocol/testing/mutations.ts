/** Documents that are nearly right: what a hostile peer sends that knows our schemas. */
import fc from "fast-check";
import { MAX_DISK_BYTES } from "../ids.ts";

/** The path of every value in a document, as keys. */
export function places(value: unknown, at: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [at];
  return Object.entries(value).flatMap(([key, member]) => places(member, [...at, key]));
}

/** A copy of the document with another value at this path. */
export function withValue(document: unknown, [key, ...rest]: string[], value: unknown): unknown {
  if (key === undefined) return value;
  const copy: Record<string, unknown> = structuredClone(document) as Record<string, unknown>;
  copy[key] = withValue(copy[key], rest, value);
  return copy;
}

/** Paths, odd names, numbers at their ends, text of any kind, any JSON. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[
      "",
      ".",
      "..",
      "../x",
      "../../etc/cron.d/x",
      "/etc/passwd",
      "a/b",
      "a\\b",
      "x\0",
      "cnv_1/../cnv_2",
      "CON",
    ],
    ...["cnv_1\n", "cnv_\u212a", "__proto__", -1, 0, 1.5, 2 ** 53, MAX_DISK_BYTES + 1, null, [], {}],
  ),
  fc.string({ unit: "binary" }),
  fc.string({ maxLength: 5000 }),
  fc.jsonValue(),
);

/** The document with one to three of its values replaced. */
export function mutated(document: unknown): fc.Arbitrary<unknown> {
  const change = fc.tuple(fc.constantFrom(...places(document)), hostileValue);
  return fc
    .array(change, { minLength: 1, maxLength: 3 })
    .map((changes) => changes.reduce((made, [place, value]) => replaced(made, place, value), document));
}

/** An earlier change may have taken the place away. */
function replaced(document: unknown, place: string[], value: unknown): unknown {
  const parent = place
    .slice(0, -1)
    .reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document);
  return typeof parent === "object" && parent !== null ? withValue(document, place, value) : document;
}
