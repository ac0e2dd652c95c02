import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_SEALED_BYTES, UNIT_BLOCKS, UNIT_BYTES } from "./blob.ts";
import { BLOCK_BYTES, BlockNamer } from "./block.ts";
import { createCompressor, createHandleCompressor, oneShotCompressor } from "./compression.ts";
import { DamagedObjectError, UnsupportedFormatError } from "./errors.ts";
import { decodeKeyObject, encodeKeyObject } from "./key-object.ts";
import { type BlobRef, decodeInnerNode, decodeLeaf, encodeInnerNode, encodeLeaf } from "./map-node.ts";
import { openPack, PackBuilder } from "./pack.ts";
import { decodePoint, encodePoint, type Point } from "./point.ts";
import { goldenDataKey as dataKey } from "./testing/golden.ts";
import { FAN_OUT } from "./tree.ts";

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Buffer.from(b));
const compressor = createCompressor();
const using = { compressor, output: Buffer.alloc(UNIT_BYTES) };
const runs = { numRuns: 30 };

/**
 * Runs `read` on the bytes cut short and on the bytes with one bit flipped: each must be refused by a typed
 * error.
 */
function refusesDamage(whole: Buffer, cut: number, flip: number, read: (bytes: Buffer) => unknown): void {
  const typed = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      if (error instanceof DamagedObjectError || error instanceof UnsupportedFormatError) return;
      throw error;
    }
    throw new Error("damage was not noticed");
  };
  typed(() => read(whole.subarray(0, cut % whole.length)));
  const flipped = Buffer.from(whole);
  const at = Math.floor(flip / 8) % whole.length;
  flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (flip % 8)), at);
  typed(() => read(flipped));
}

const content = fc
  .tuple(fc.integer({ min: 1, max: UNIT_BLOCKS }), fc.boolean(), fc.integer())
  .map(([blocks, compressible, seed]) => {
    const unit = Buffer.alloc(blocks * BLOCK_BYTES, `seed ${seed} `);
    let state = seed | 1;
    if (!compressible)
      for (let at = 0; at < unit.length; at += 4) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        unit.writeInt32LE(state ^ (state >>> 13), at);
      }
    return unit;
  });

test("a pack gives back its units and refuses damage anywhere", () => {
  fc.assert(
    fc.property(
      fc.array(content, { maxLength: 3 }),
      bytes(16),
      fc.nat(),
      fc.nat(),
      (units, salt, cut, flip) => {
        const namer = new BlockNamer(dataKey);
        const builder = new PackBuilder({
          kind: "data",
          dataKey,
          salt,
          origin: { captureId: salt, startedAt: 5, diskName: "disk é" },
          buffer: Buffer.alloc(1 << 20),
          sealing: { compressor, scratch: Buffer.alloc(UNIT_BYTES) },
        });
        const positions = units.map((unit, number) =>
          builder.addUnit(
            unit,
            Array.from({ length: unit.length / BLOCK_BYTES }, (_, at) => ({
              block: number * 10 + at,
              id: namer.idOf(unit.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES)),
            })),
          ),
        );
        const pack = Buffer.from(builder.finish().bytes);
        const readAll = (whole: Buffer) => {
          const { sealer } = openPack(dataKey, whole, "pack");
          return positions.map((position) => {
            const sealed = whole.subarray(position.offset, position.offset + position.sealedBytes);
            return Buffer.from(sealer.open(sealed, position, "pack", using).bytes);
          });
        };
        expect(readAll(pack).every((unit, at) => unit.equals(units[at] ?? Buffer.alloc(0)))).toBe(true);
        refusesDamage(pack, cut, flip, readAll);
      },
    ),
    runs,
  );
});

test("a blob put in another's place is refused", () => {
  const builder = new PackBuilder({
    kind: "data",
    dataKey,
    salt: Buffer.alloc(16),
    origin: { captureId: Buffer.alloc(16), startedAt: 0, diskName: "d" },
    buffer: Buffer.alloc(1 << 20),
    sealing: { scratch: Buffer.alloc(UNIT_BYTES) },
  });
  const unit = Buffer.alloc(BLOCK_BYTES, 7);
  const first = builder.addUnit(unit, [{ block: 0, id: Buffer.alloc(32, 1) }]);
  const second = builder.addUnit(unit, [{ block: 1, id: Buffer.alloc(32, 1) }]);
  const { bytes: pack } = builder.finish();
  const { sealer } = openPack(dataKey, pack, "pack");
  const sealed = pack.subarray(first.offset, first.offset + first.sealedBytes);
  expect(() => sealer.open(sealed, second, "pack", using)).toThrow(DamagedObjectError);
});

const blobRef: fc.Arbitrary<BlobRef> = fc.record({
  pack: fc
    .integer({ min: 0, max: 255 })
    .map((n) => ({ name: Buffer.alloc(32, n), salt: Buffer.alloc(16, n) })),
  number: fc.nat(0xffffffff),
  offset: fc.nat(0xffffffff),
  sealedBytes: fc.nat(MAX_SEALED_BYTES),
});

test("leaves and inner nodes round trip", () => {
  const block = fc.record({ unit: blobRef, at: fc.integer({ min: 0, max: UNIT_BLOCKS - 1 }), id: bytes(32) });
  const badRange = fc.record({ offset: fc.nat(), bytes: fc.nat() });
  fc.assert(
    fc.property(
      fc.array(fc.option(block, { nil: undefined }), { minLength: FAN_OUT, maxLength: FAN_OUT }),
      fc.array(badRange, { maxLength: 5 }),
      fc.nat(),
      fc.nat(),
      (drawn, badRanges, index, cut) => {
        const blocks = uniqueBlobs(
          drawn,
          (b) => b.unit,
          (b, unit) => ({ ...b, unit }),
        );
        const encoded = encodeLeaf({ index, blocks, badRanges });
        expect(decodeLeaf(encoded, index, "leaf")).toEqual({ index, blocks, badRanges });
        expect(() => decodeLeaf(encoded.subarray(0, cut % encoded.length), index, "leaf")).toThrow(
          DamagedObjectError,
        );
        expect(() => decodeLeaf(encoded, index + 1, "leaf")).toThrow(DamagedObjectError);
        const children = blocks.map((b) => (b ? { blob: b.unit, hash: Buffer.alloc(32, 9) } : undefined));
        const node = encodeInnerNode({ level: 1, index, children });
        expect(decodeInnerNode(node, 1, index, "node")).toEqual({ level: 1, index, children });
        expect(() => decodeInnerNode(node.subarray(0, cut % node.length), 1, index, "node")).toThrow(
          DamagedObjectError,
        );
      },
    ),
    { numRuns: 10 },
  );
});

test("a node that names a blob longer than any is refused before room is made for it", () => {
  const pack = { name: Buffer.alloc(32), salt: Buffer.alloc(16) };
  const unit = { pack, number: 0, offset: 0, sealedBytes: MAX_SEALED_BYTES + 1 };
  const blocks = new Array(FAN_OUT).fill(undefined);
  blocks[0] = { unit, at: 0, id: Buffer.alloc(32) };
  const leaf = encodeLeaf({ index: 0, blocks, badRanges: [] });
  expect(() => decodeLeaf(leaf, 0, "leaf")).toThrow(DamagedObjectError);
});

/** A blob number means one place in a pack, so this gives all references to a blob the first one's place. */
function uniqueBlobs<T>(
  items: (T | undefined)[],
  get: (item: T) => BlobRef,
  set: (item: T, ref: BlobRef) => T,
): (T | undefined)[] {
  const seen = new Map<string, BlobRef>();
  return items.map((item) => {
    if (item === undefined) return undefined;
    const ref = get(item);
    const key = `${ref.pack.name.toString("hex")}/${ref.number}`;
    const first = seen.get(key) ?? ref;
    seen.set(key, first);
    return set(item, first);
  });
}

const diskName = fc
  .stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}[a-z0-9]$/)
  .filter((name) => !/^(con|prn|aux|nul|com\d|lpt\d)/i.test(name));

test("a recovery point round trips, refuses damage, and cannot stand for another", () => {
  fc.assert(
    fc.property(diskName, fc.nat(), bytes(16), fc.nat(), fc.nat(), (name, sizeBytes, salt, cut, flip) => {
      const point: Point = {
        pointId: "p1",
        sourceId: "s1",
        createdAt: "2030-01-01T00:00:00.000Z",
        parentId: null,
        agentVersion: "1",
        disks: [
          {
            name,
            sizeBytes,
            root: null,
            contentHash: "00".repeat(32),
            usedBytes: 0,
            badRanges: 0,
            badBytes: 0,
            consistency: "crash",
            volumes: [],
            wholeCopies: [],
          },
        ],
      };
      const encoded = encodePoint(point, { dataKey, salt });
      const read = (whole: Buffer) => decodePoint(whole, { dataKey, sourceId: "s1", pointId: "p1" }, "point");
      expect(read(encoded)).toEqual(point);
      refusesDamage(encoded, cut, flip, read);
      expect(() => decodePoint(encoded, { dataKey, sourceId: "s1", pointId: "p2" }, "point")).toThrow(
        DamagedObjectError,
      );
      expect(() => decodePoint(encoded, { dataKey, sourceId: "s2", pointId: "p1" }, "point")).toThrow(
        DamagedObjectError,
      );
    }),
    runs,
  );
});

test("a key object round trips and refuses damage", () => {
  fc.assert(
    fc.property(bytes(48), fc.nat(), fc.nat(), (wrapped, cut, flip) => {
      const key = {
        version: 1 as const,
        sourceId: "s1",
        keyId: "arn:key",
        wrappedKey: wrapped.toString("base64"),
      };
      const encoded = encodeKeyObject(key);
      const read = (whole: Buffer) => decodeKeyObject(whole, "key.json");
      expect(read(encoded)).toEqual(key);
      refusesDamage(encoded, cut, flip, read);
    }),
    runs,
  );
});

test.each([
  ["driven handles", createHandleCompressor()],
  ["one-shot functions", oneShotCompressor],
])("%s compress, and refuse a frame that is cut, doubled or too long", (_, tested) => {
  if (!tested) throw new Error("this Node has no such handles");
  const input = Buffer.alloc(UNIT_BYTES, "some text to compress ");
  const output = Buffer.alloc(UNIT_BYTES);
  const room = Buffer.alloc(UNIT_BYTES);
  const frame = Buffer.from(room.subarray(0, tested.compress(input, room)));
  expect(tested.compress(input, Buffer.alloc(10))).toBe(-1);
  for (const bad of [frame.subarray(0, -1), Buffer.concat([frame, frame]), Buffer.from("nonsense")]) {
    expect(() => tested.expand(bad, output)).toThrow();
  }
  expect(() => tested.expand(frame, Buffer.alloc(100))).toThrow();
  expect(tested.expand(frame, output)).toBe(UNIT_BYTES);
  expect(output.equals(input)).toBe(true);
});
