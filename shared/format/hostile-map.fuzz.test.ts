/**
 * Map nodes and pack indexes as a compromised source can seal them. The seal proves who wrote them but
 * nothing about their content.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_SEALED_BYTES, UNIT_BLOCKS } from "./blob.ts";
import { DamagedObjectError } from "./errors.ts";
import { decodeKeyObject, encodeKeyObject } from "./key-object.ts";
import { type BlobRef, decodeInnerNode, decodeLeaf, encodeInnerNode, encodeLeaf } from "./map-node.ts";
import { decodePackIndex, PackIndexWriter } from "./pack-index.ts";
import { FAN_OUT } from "./tree.ts";

const pack = { name: Buffer.alloc(32, 1), salt: Buffer.alloc(16, 2) };
const blobAt = (number: number): BlobRef => ({ pack, number, offset: 100 * number, sealedBytes: 50 });

function slots<T>(make: (slot: number) => T): (T | undefined)[] {
  return Array.from({ length: FAN_OUT }, (_, slot) => (slot % 3 === 0 ? make(slot) : undefined));
}

const leaf = encodeLeaf({
  index: 5,
  blocks: slots((slot) => ({ unit: blobAt(slot >> 2), at: slot % UNIT_BLOCKS, id: Buffer.alloc(32, slot) })),
  badRanges: [{ offset: 512, bytes: 512 }],
});
const inner = encodeInnerNode({
  level: 1,
  index: 0,
  children: slots((slot) => ({ blob: blobAt(slot), hash: Buffer.alloc(32, slot) })),
});
const writer = new PackIndexWriter({ captureId: Buffer.alloc(16, 3), startedAt: 1, diskName: "sda" });
writer.addUnit({ offset: 10, sealedBytes: 50 }, [{ block: 1, id: Buffer.alloc(32, 4) }]);
writer.addMapNode({ offset: 60, sealedBytes: 50 }, 0, 0);
writer.addReference({ block: 2, id: Buffer.alloc(32, 5) });
const index = writer.finish();
const key = encodeKeyObject({ version: 1, sourceId: "agt_1", keyId: "key", wrappedKey: "c2VhbA==" });

/** The bytes with some overwritten, some at the end cut or added; counts at the beginning more often. */
function damaged(whole: Buffer): fc.Arbitrary<Buffer> {
  const at = fc.oneof(fc.nat(Math.min(40, whole.length - 1)), fc.nat(whole.length - 1));
  const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0xff), fc.nat(255));
  return fc
    .tuple(
      fc.array(fc.tuple(at, byte), { maxLength: 12 }),
      fc.nat(whole.length),
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(3),
    )
    .map(([changes, cut, tail, way]) => {
      const bytes = Buffer.from(whole);
      for (const [place, value] of changes) bytes.writeUInt8(value, place);
      if (way === 0) return bytes.subarray(0, cut);
      return way === 1 ? Buffer.concat([bytes, tail]) : bytes;
    });
}

const anyOf = (whole: Buffer) =>
  fc.oneof(
    { weight: 4, arbitrary: damaged(whole) },
    fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
  );

/** Returns what `read` returns, or `undefined` if it refuses the bytes with the typed error. */
function readOrRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    expect(error).toBeInstanceOf(DamagedObjectError);
    return undefined;
  }
}

const runs = { numRuns: 1500 };

test("whatever a leaf's bytes are, it names 256 blocks in units of a bounded size, or is refused", () => {
  fc.assert(
    fc.property(anyOf(leaf), (bytes) => {
      const read = readOrRefused(() => decodeLeaf(bytes, 5, "leaf"));
      if (!read) return;
      expect(read.blocks.length).toBe(FAN_OUT);
      for (const block of read.blocks) {
        if (!block) continue;
        expect(block.at).toBeLessThan(UNIT_BLOCKS);
        expect(block.unit.sealedBytes).toBeLessThanOrEqual(MAX_SEALED_BYTES);
      }
    }),
    runs,
  );
});

test("whatever an inner node's bytes are, it names 256 children of a bounded size, or is refused", () => {
  fc.assert(
    fc.property(anyOf(inner), (bytes) => {
      const read = readOrRefused(() => decodeInnerNode(bytes, 1, 0, "node"));
      if (!read) return;
      expect(read.children.length).toBe(FAN_OUT);
      for (const child of read.children) {
        expect(child?.blob.sealedBytes ?? 0).toBeLessThanOrEqual(MAX_SEALED_BYTES);
      }
    }),
    runs,
  );
});

test("whatever an index's bytes are, it lists no more than they have room for, or is refused", () => {
  fc.assert(
    fc.property(anyOf(index), (bytes) => {
      const read = readOrRefused(() => decodePackIndex(bytes, "pack"));
      if (read)
        expect(12 * read.blobs.length + 40 * read.references.length).toBeLessThanOrEqual(bytes.length);
    }),
    runs,
  );
});

test("whatever a key object's bytes are, it is the one that was written, or is refused", () => {
  fc.assert(
    fc.property(anyOf(key), (bytes) => {
      if (readOrRefused(() => decodeKeyObject(bytes, "key.json"))) expect(bytes).toEqual(key);
    }),
    runs,
  );
});
