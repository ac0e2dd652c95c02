/**
 * A recovery point is sealed by its source, which can be compromised. The seal proves nothing about the
 * content.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_DISK_BYTES } from "../protocol/ids.ts";
import { BLOCK_BYTES } from "./block.ts";
import { DamagedObjectError } from "./errors.ts";
import { decodePoint, type Point, sealPoint } from "./point.ts";

const dataKey = Buffer.alloc(32, 7);
const ids = { sourceId: "agt_1", pointId: "rp_1" };
const good: Point = {
  pointId: "rp_1",
  sourceId: "agt_1",
  createdAt: "2030-01-01T00:00:00.000Z",
  parentId: null,
  agentVersion: "1",
  disks: [
    {
      name: "sda",
      sizeBytes: BLOCK_BYTES,
      root: { pack: "00".repeat(32), salt: "00".repeat(16), number: 0, offset: 0, sealedBytes: 1 },
      contentHash: "00".repeat(32),
      usedBytes: BLOCK_BYTES,
      badRanges: 0,
      badBytes: 0,
      consistency: "crash",
      volumes: [],
      wholeCopies: [],
    },
  ],
};

function open(json: string): Point {
  const bytes = sealPoint(ids, json, { dataKey, salt: Buffer.alloc(16, 1) });
  return decodePoint(bytes, { ...ids, dataKey }, "point");
}

const withDisk = (change: object) => JSON.stringify({ ...good, disks: [{ ...good.disks[0], ...change }] });

const refused = (json: string) => expect(() => open(json)).toThrow(DamagedObjectError);

test("a recovery point that our own agent wrote is read", () => {
  expect(open(JSON.stringify(good))).toEqual(good);
});

test.each([
  "../../x",
  "/etc/cron.d/x",
  "a/b",
  "a\\b",
  "..",
  ".",
  "",
  ".hidden",
  "sda\0",
  "sda\n",
  "sda ",
  "CON",
  "nul.raw",
  "Lpt1",
  "sda.",
  "\u212aelvin",
  "sda\u202e",
  "s\u0301da",
  "a".repeat(65),
])("a disk called %j is refused", (name) => refused(withDisk({ name })));

test.each([
  ["a negative size", { sizeBytes: -1 }],
  ["a size that is no whole number", { sizeBytes: 1.5 }],
  ["a size beyond what a number can say", { sizeBytes: 2 ** 53 + 2 }],
  ["a size beyond any disk", { sizeBytes: MAX_DISK_BYTES + 1 }],
  ["more data than the disk has", { usedBytes: 2 * BLOCK_BYTES }],
  ["more bad bytes than the disk has", { badBytes: BLOCK_BYTES + 1 }],
  ["data without a map", { root: null }],
  ["a pack that is a path", { root: { ...good.disks[0]?.root, pack: "../".repeat(16) } }],
  ["a field that there is not", { path: "/etc/passwd" }],
])("%s is refused", (_, change) => refused(withDisk(change)));

test.each([
  ["two disks of one name", ["sda", "sda"]],
  ["two disks whose names differ only by case", ["sda", "SDA"]],
])("%s are refused", (_, names) =>
  refused(JSON.stringify({ ...good, disks: names.map((name) => ({ ...good.disks[0], name })) })),
);

test("a point that claims to be another one, or whose parent is a path, is refused", () => {
  refused(JSON.stringify({ ...good, pointId: "rp_2" }));
  refused(JSON.stringify({ ...good, sourceId: "agt_2" }));
  refused(JSON.stringify({ ...good, parentId: "../rp_0" }));
});

test("whatever is sealed, it is read as a point that keeps every rule, or refused as damaged", () => {
  const hostile = fc.oneof(
    fc.json(),
    fc.string(),
    fc
      .record({
        name: fc.oneof(fc.string(), fc.constantFrom("../x", "a/b", "sda", "nul")),
        sizeBytes: fc.oneof(fc.integer(), fc.double(), fc.maxSafeInteger()),
        usedBytes: fc.oneof(fc.integer(), fc.maxSafeInteger()),
        badBytes: fc.oneof(fc.integer(), fc.maxSafeInteger()),
      })
      .map(withDisk),
  );
  fc.assert(
    fc.property(hostile, (json) => {
      let point: Point;
      try {
        point = open(json);
      } catch (error) {
        expect(error).toBeInstanceOf(DamagedObjectError);
        return;
      }
      for (const { name, sizeBytes, usedBytes } of point.disks) {
        expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
        expect(usedBytes).toBeLessThan(sizeBytes + BLOCK_BYTES);
      }
    }),
    { numRuns: 500 },
  );
});
