/**
 * Packs that a compromised source sealed with its own key: every blob and index authenticates, whatever it
 * contains.
 */
import { createCipheriv } from "node:crypto";
import { constants, createZstdCompress, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BLOB_KIND, type BlobKind, BlobSealer, UNIT_BLOCKS, UNIT_BYTES } from "./blob.ts";
import { BLOCK_BYTES } from "./block.ts";
import { type Compressor, createCompressor, oneShotCompressor } from "./compression.ts";
import { DamagedObjectError, UnsupportedFormatError } from "./errors.ts";
import { derivePackKey } from "./keys.ts";
import { openPack, PACK_TRAILER_BYTES, PackBuilder } from "./pack.ts";
import { goldenDataKey as dataKey } from "./testing/golden.ts";

const salt = Buffer.alloc(16, 9);
const openers: [string, Compressor][] = [
  ["the fast compressor", createCompressor()],
  ["the documented functions", oneShotCompressor],
];

/** Returns what `read` returns, or `undefined` if it refuses with a typed error; any other error escapes. */
function readOrRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DamagedObjectError || error instanceof UnsupportedFormatError) return undefined;
    throw error;
  }
}

/** A frame whose header does not state the content's length: only expanding shows how long it is. */
async function frameOfUnstatedLength(contentBytes: number): Promise<Buffer> {
  const stream = createZstdCompress();
  for (let left = contentBytes; left > 0; left -= 2 ** 20)
    stream.write(Buffer.alloc(Math.min(left, 2 ** 20)));
  stream.end();
  return Buffer.concat(await stream.toArray());
}

const longestWindow = { params: { [constants.ZSTD_c_windowLog]: 27 } };
const frame = (bytes: number) => zstdCompressSync(Buffer.alloc(bytes, 5));
const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
const frames: [string, Buffer][] = [
  ["256 MiB of zeros", await frameOfUnstatedLength(2 ** 28)],
  ["one byte more than a unit", frame(UNIT_BYTES + 1)],
  ["one byte less than a unit", frame(UNIT_BYTES - 1)],
  ["no content", frame(0)],
  ["two frames", Buffer.concat([frame(2 * BLOCK_BYTES), frame(2 * BLOCK_BYTES)])],
  ["a skippable frame before the content", Buffer.concat([skippable, frame(UNIT_BYTES)])],
  ["only skippable frames", Buffer.concat([skippable, skippable])],
  ["bytes after the frame", Buffer.concat([frame(UNIT_BYTES), Buffer.from("more")])],
  ["a frame that is cut short", frame(UNIT_BYTES).subarray(0, -1)],
  ["a window of 128 MiB", zstdCompressSync(Buffer.alloc(UNIT_BYTES, 1), longestWindow)],
  ["a window of 2 TiB", Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 1, 0, 0])],
  ["a dictionary that does not exist", Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x23, 1, 2, 3, 4, 4, 1, 0, 0])],
];

/** Seals `payload` unchanged. `says` is what the header claims about it. */
function sealed(payload: Buffer, says: { compressed: boolean; kind: number; blocks: number }) {
  const sealer = new BlobSealer(derivePackKey(dataKey, salt), Buffer.alloc(16, 1));
  const out = Buffer.alloc(payload.length + 64);
  const asIs = { compress: (_: Buffer, output: Buffer) => payload.copy(output), expand: () => 0 };
  // The sealer compresses into room that is one byte shorter than the content.
  const compresses = says.compressed && says.kind === BLOB_KIND.unit;
  const content = compresses ? Buffer.alloc(payload.length + 1) : payload;
  const bytes = sealer.seal(
    { kind: says.kind as BlobKind, blocks: says.blocks, bytes: content },
    { number: 0, offset: 0 },
    out,
    { ...(compresses && { compressor: asIs }), scratch: Buffer.alloc(payload.length + 1) },
  );
  return { sealer, bytes: out.subarray(0, bytes) };
}

const open = (blob: ReturnType<typeof sealed>, compressor: Compressor) =>
  readOrRefused(() =>
    blob.sealer.open(blob.bytes, { number: 0, offset: 0 }, "pack", {
      compressor,
      output: Buffer.alloc(UNIT_BYTES),
    }),
  );

test.each(openers)("with %s, a unit expands to exactly its blocks or is refused", (_, compressor) => {
  for (const [name, payload] of frames) {
    const content = open(
      sealed(payload, { compressed: true, kind: BLOB_KIND.unit, blocks: UNIT_BLOCKS }),
      compressor,
    );
    if (content) expect(content.bytes.length, name).toBe(UNIT_BYTES);
  }
  const good = sealed(frame(UNIT_BYTES), { compressed: true, kind: BLOB_KIND.unit, blocks: UNIT_BLOCKS });
  expect(open(good, compressor)?.bytes).toEqual(Buffer.alloc(UNIT_BYTES, 5));
});

test("any header over any content opens to a bounded unit, to what was stored, or is refused", () => {
  const payloads = fc.oneof(
    fc.constantFrom(...frames.slice(1).map(([, bytes]) => bytes)),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(BLOCK_BYTES, UNIT_BYTES, UNIT_BYTES + 1).map((bytes) => Buffer.alloc(bytes, 3)),
  );
  const header = fc.record({
    compressed: fc.boolean(),
    kind: fc.oneof(fc.constantFrom(...Object.values(BLOB_KIND)), fc.nat(255)),
    blocks: fc.oneof(fc.nat(UNIT_BLOCKS + 1), fc.nat(0xffff)),
  });
  fc.assert(
    fc.property(payloads, header, fc.constantFrom(...openers), (payload, says, [, compressor]) => {
      const content = open(sealed(payload, says), compressor);
      if (content?.kind === BLOB_KIND.unit) expect(content.bytes.length).toBe(content.blocks * BLOCK_BYTES);
      else if (content) expect(content.bytes.length).toBe(payload.length);
      expect(content?.blocks ?? 0).toBeLessThanOrEqual(UNIT_BLOCKS);
    }),
    { numRuns: 200 },
  );
});

/** A pack of one unit whose index and trailer make other claims, sealed as the source itself would. */
function packWith(index: Buffer, trailer: { at: number; bytes: number; blobs: number }): Buffer {
  const builder = new PackBuilder({
    kind: "data",
    dataKey,
    salt,
    origin: { captureId: Buffer.alloc(16), startedAt: 0, diskName: "sda" },
    buffer: Buffer.alloc(2 ** 18),
    sealing: { scratch: Buffer.alloc(UNIT_BYTES) },
  });
  builder.addUnit(Buffer.alloc(BLOCK_BYTES, 7), [{ block: 0, id: Buffer.alloc(32, 1) }]);
  const whole = builder.finish().bytes;
  const start = whole.subarray(0, whole.readUInt32LE(whole.length - PACK_TRAILER_BYTES));
  const end = Buffer.from(whole.subarray(whole.length - PACK_TRAILER_BYTES));
  end.writeUInt32LE((start.length + trailer.at) >>> 0, 0);
  end.writeUInt32LE((index.length + 16 + trailer.bytes) >>> 0, 4);
  end.writeUInt32LE(trailer.blobs, 8);
  const nonce = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const cipher = createCipheriv("aes-256-gcm", derivePackKey(dataKey, salt), nonce);
  cipher.setAAD(Buffer.concat([whole.subarray(0, 32), end]));
  return Buffer.concat([start, cipher.update(index), cipher.final(), cipher.getAuthTag(), end]);
}

test("any sealed index is read within its own length, or the pack is refused", () => {
  const small = fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    fc.integer({ min: -40, max: 2 ** 32 - 1 }),
  );
  const u32 = fc.oneof(fc.nat(3), fc.constantFrom(0x7fffffff, 0xffffffff), fc.nat(0xffffffff));
  const counts = fc
    .tuple(u32, u32, fc.nat(0xffff), fc.uint8Array({ maxLength: 400 }))
    .map(([blobs, references, nameBytes, rest]) => {
      const start = Buffer.alloc(16 + 8 + 2);
      start.writeUInt16LE(nameBytes % 8, 24);
      const tail = Buffer.alloc(4);
      tail.writeUInt32LE(references);
      const count = Buffer.alloc(4);
      count.writeUInt32LE(blobs);
      return Buffer.concat([start, Buffer.alloc(nameBytes % 8), count, rest, tail]);
    });
  const trailer = fc.record({ at: small, bytes: small, blobs: u32 });
  fc.assert(
    fc.property(fc.oneof(counts, fc.uint8Array().map(Buffer.from)), trailer, (index, says) => {
      const pack = readOrRefused(() => openPack(dataKey, packWith(index, says), "pack"));
      if (pack)
        expect(12 * pack.index.blobs.length + 40 * pack.index.references.length).toBeLessThan(index.length);
    }),
    { numRuns: 200 },
  );
});
