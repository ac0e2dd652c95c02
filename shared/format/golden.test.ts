import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { UNIT_BYTES } from "./blob.ts";
import { BLOCK_BYTES } from "./block.ts";
import { createCompressor } from "./compression.ts";
import { decodeKeyObject } from "./key-object.ts";
import { decodeInnerNode, decodeLeaf } from "./map-node.ts";
import { openPack } from "./pack.ts";
import { decodePoint } from "./point.ts";
import { buildGolden, goldenBlocks, goldenDataKey, goldenIds, goldenSizeBytes } from "./testing/golden.ts";

const golden = (name: string): Buffer => readFileSync(new URL(`golden/${name}`, import.meta.url));
const using = { compressor: createCompressor(), output: Buffer.alloc(UNIT_BYTES) };

test.each(["data-stored.pack", "map.packs", "point-2", "key.json"])(
  "%s is written byte for byte as pinned",
  (name) => {
    expect(buildGolden()[name]?.equals(golden(name))).toBe(true);
  },
);

test("a pinned pack of stored blocks can still be read", () => {
  const bytes = golden("data-stored.pack");
  const { kind, index, sealer } = openPack(goldenDataKey, bytes, "golden");
  expect(kind).toBe("data");
  expect(index.origin).toEqual({
    captureId: Buffer.alloc(16, 0x33),
    startedAt: Date.UTC(2030, 0, 2),
    diskName: "sda",
  });
  expect(index.blobs).toEqual([
    { kind: "unit", offset: 32, sealedBytes: BLOCK_BYTES + 20, placements: [{ block: 3, id: goldenIds[0] }] },
  ]);
  expect(index.references).toEqual([
    { block: 5, id: goldenIds[0] },
    { block: 6, id: Buffer.alloc(32) },
  ]);
  const content = sealer.open(
    bytes.subarray(32, 32 + BLOCK_BYTES + 20),
    { number: 0, offset: 32 },
    "golden",
    using,
  );
  expect(content.bytes.equals(goldenBlocks.subarray(0, BLOCK_BYTES))).toBe(true);
});

test("a pinned pack of compressed blocks can still be read", () => {
  const bytes = golden("data-zstd.pack");
  const { index, sealer } = openPack(goldenDataKey, bytes, "golden");
  const [blob] = index.blobs;
  const sealed = bytes.subarray(32, 32 + (blob?.sealedBytes ?? 0));
  expect(sealer.open(sealed, { number: 0, offset: 32 }, "golden", using).bytes.equals(goldenBlocks)).toBe(
    true,
  );
});

test.each([
  ["point-1", { consistency: "unknown", volumes: [], wholeCopies: [] }],
  [
    "point-2",
    {
      consistency: "crash",
      volumes: [{ name: "partition 1", consistency: "file-system" }],
      wholeCopies: [{ place: "partition 2", reason: "free space of btrfs is not evaluated" }],
    },
  ],
])("the pinned recovery point %s still leads to its blocks", (pointId, view) => {
  const point = decodePoint(
    golden(pointId),
    { dataKey: goldenDataKey, sourceId: "source-1", pointId },
    "golden",
  );
  const [disk] = point.disks;
  expect(disk).toMatchObject({
    name: "sda",
    sizeBytes: goldenSizeBytes,
    badRanges: 1,
    badBytes: 512,
    ...view,
  });
  const packs = golden("map.packs");
  const second = packs.lastIndexOf("CSWYPACK");
  const open = (bytes: Buffer) => {
    const { index, sealer } = openPack(goldenDataKey, bytes, "golden");
    const sealed = bytes.subarray(32, 32 + (index.blobs[0]?.sealedBytes ?? 0));
    return sealer.open(sealed, { number: 0, offset: 32 }, "golden", using).bytes;
  };
  const top = decodeInnerNode(open(packs.subarray(second)), 1, 0, "golden");
  expect(top.children.filter(Boolean)).toHaveLength(1);
  const leaf = decodeLeaf(open(packs.subarray(0, second)), 0, "golden");
  expect(leaf.badRanges).toEqual([{ offset: 4096, bytes: 512 }]);
  expect(leaf.blocks.flatMap((block, slot) => (block ? [[slot, block.at, block.id]] : []))).toEqual([
    [3, 0, goldenIds[0]],
    [5, 0, goldenIds[0]],
  ]);
});

test("a pinned key object can still be read", () => {
  expect(decodeKeyObject(golden("key.json"), "golden")).toMatchObject({ version: 1, sourceId: "source-1" });
});
