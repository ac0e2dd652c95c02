import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { BLOB_KIND, UNIT_BYTES } from "./blob.ts";
import { BLOCK_BYTES } from "./block.ts";
import { createCompressor } from "./compression.ts";
import { decodeKeyObject } from "./key-object.ts";
import { decodeInnerNode, decodeLeaf, innerHash, type Leaf, leafHash } from "./map-node.ts";
import { decodePatch, patchedInnerNode, patchedLeaf } from "./map-patch.ts";
import { openPack } from "./pack.ts";
import { decodePoint } from "./point.ts";
import {
  buildGolden,
  goldenBlocks,
  goldenDataKey,
  goldenIds,
  goldenList,
  goldenSizeBytes,
} from "./testing/golden.ts";
import { diskHash } from "./tree.ts";

const golden = (name: string): Buffer => readFileSync(new URL(`golden/${name}`, import.meta.url));
const using = { compressor: createCompressor(), output: Buffer.alloc(UNIT_BYTES) };

test.each(["data-stored.pack", "list.pack", "map.packs", "map-patches.packs", "point-4", "key.json"])(
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

test("a pinned pack with a list of files can still be read", () => {
  const bytes = golden("list.pack");
  const { kind, index, sealer } = openPack(goldenDataKey, bytes, "golden");
  expect([kind, index.blobs]).toEqual(["list", [{ kind: "list", offset: 32, sealedBytes: 45 }]]);
  const content = sealer.open(bytes.subarray(32, 77), { number: 0, offset: 32 }, "golden", using);
  expect(content).toEqual({ kind: BLOB_KIND.list, blocks: 0, bytes: goldenList });
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
  const nodes = firstNodes("map.packs");
  const top = decodeInnerNode(nodes[1], 1, 0, "golden");
  expect(top.children.filter(Boolean)).toHaveLength(1);
  const leaf = decodeLeaf(nodes[0], 0, "golden");
  expect(leaf.badRanges).toEqual([{ offset: 4096, bytes: 512 }]);
  expect(blocksOf(leaf)).toEqual([
    [3, 0, goldenIds[0]],
    [5, 0, goldenIds[0]],
  ]);
});

test.each([
  ["point-3", [undefined]],
  ["point-4", [undefined, 2]],
])("the pinned recovery point %s leads to its blocks through patches", (pointId, instants) => {
  const expected = { dataKey: goldenDataKey, sourceId: "source-1", pointId };
  const [disk] = decodePoint(golden(pointId), expected, "golden").disks;
  expect(disk?.volumes.map(({ instant }) => instant)).toEqual(instants);
  const [leafBytes, topBytes] = firstNodes("map.packs");
  const [leafPatch, topPatch] = firstNodes("map-patches.packs");
  const baseLeaf = decodeLeaf(leafBytes, 0, "golden");
  const baseTop = decodeInnerNode(topBytes, 1, 0, "golden");
  const patch = decodePatch(leafPatch, 0, 0, "golden");
  const patchOfTop = decodePatch(topPatch, 1, 0, "golden");
  if (!disk || !patch || !patchOfTop) throw new Error("there is no patch");
  const leaf = patchedLeaf(patch, baseLeaf);
  expect(blocksOf(leaf)).toEqual([
    [3, 0, goldenIds[0]],
    [9, 0, goldenIds[0]],
  ]);
  expect(leaf.badRanges).toEqual([{ offset: 4096, bytes: 512 }]);
  expect(patch.base).toEqual(baseTop.children[0]?.blob);
  const top = patchedInnerNode(patchOfTop, baseTop);
  expect(top.children[0]?.hash).toEqual(leafHash(leaf));
  expect(diskHash(disk.sizeBytes, innerHash(top, 1)).toString("hex")).toBe(disk.contentHash);
});

/** The first node of each of the two packs in a golden file. */
function firstNodes(name: string): [Buffer, Buffer] {
  const packs = golden(name);
  const second = packs.lastIndexOf("CSWYPACK");
  const open = (bytes: Buffer) => {
    const { index, sealer } = openPack(goldenDataKey, bytes, "golden");
    const sealed = bytes.subarray(32, 32 + (index.blobs[0]?.sealedBytes ?? 0));
    return sealer.open(sealed, { number: 0, offset: 32 }, "golden", using).bytes;
  };
  return [open(packs.subarray(0, second)), open(packs.subarray(second))];
}

function blocksOf({ blocks }: Leaf): [number, number, Buffer][] {
  return blocks.flatMap((block, slot): [number, number, Buffer][] =>
    block ? [[slot, block.at, block.id]] : [],
  );
}

test("a pinned key object can still be read", () => {
  expect(decodeKeyObject(golden("key.json"), "golden")).toMatchObject({ version: 1, sourceId: "source-1" });
});
