/**
 * Builds the golden files from fixed keys, salts and contents. Run directly, it writes those that are
 * missing; existing ones are never overwritten, because they pin the format.
 */
import { existsSync, writeFileSync } from "node:fs";
import { UNIT_BYTES } from "../blob.ts";
import { BLOCK_BYTES, BlockNamer, ZERO_ID } from "../block.ts";
import { type Compressor, oneShotCompressor } from "../compression.ts";
import { encodeKeyObject } from "../key-object.ts";
import { deriveBlockIdKey } from "../keys.ts";
import { type BlobRef, encodeInnerNode, encodeLeaf, type PackRef } from "../map-node.ts";
import { encodePatch } from "../map-patch.ts";
import { PackBuilder, type PackKind } from "../pack.ts";
import { encodePoint, toMapRoot } from "../point.ts";
import { DiskHasher, FAN_OUT, nodeHash } from "../tree.ts";

export const goldenDataKey: Buffer = Buffer.alloc(32, 0x11);
const namer = new BlockNamer(deriveBlockIdKey(goldenDataKey));
/** Two blocks that compress well. */
export const goldenBlocks: Buffer = Buffer.alloc(2 * BLOCK_BYTES, "Causeway golden block. ");
goldenBlocks[BLOCK_BYTES] = 1;
const [id0, id1] = [0, 1].map((at) =>
  namer.idOf(goldenBlocks.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES)),
);
export const goldenIds: [Buffer, Buffer] = [id0 ?? ZERO_ID, id1 ?? ZERO_ID];
/** 16 MiB and a bit: two leaves, the second of one short block. */
export const goldenSizeBytes: number = FAN_OUT * BLOCK_BYTES + 1000;

function packBuilder(kind: PackKind, salt: Buffer, compressor?: Compressor): PackBuilder {
  return new PackBuilder({
    kind,
    dataKey: goldenDataKey,
    salt,
    origin: { captureId: Buffer.alloc(16, 0x33), startedAt: Date.UTC(2030, 0, 2), diskName: "sda" },
    buffer: Buffer.alloc(1 << 20),
    sealing: { scratch: Buffer.alloc(UNIT_BYTES), ...(compressor ? { compressor } : {}) },
  });
}

/** One block stored uncompressed, and places that name it without storing it. */
function storedPack(): { bytes: Buffer; unit: BlobRef } {
  const salt = Buffer.alloc(16, 0x22);
  const builder = packBuilder("data", salt);
  const position = builder.addUnit(goldenBlocks.subarray(0, BLOCK_BYTES), [{ block: 3, id: goldenIds[0] }]);
  builder.addReference({ block: 5, id: goldenIds[0] });
  builder.addReference({ block: 6, id: ZERO_ID });
  const { name, bytes } = builder.finish();
  return { bytes, unit: { pack: { name, salt }, ...position } };
}

function zstdPack(): Buffer {
  const builder = packBuilder("data", Buffer.alloc(16, 0x23), oneShotCompressor);
  builder.addUnit(goldenBlocks, [
    { block: 7, id: goldenIds[0] },
    { block: 8, id: goldenIds[1] },
  ]);
  return builder.finish().bytes;
}

/** What a list says is compressed before. */
export const goldenList: Buffer = Buffer.from("a part of a list of files");

function listPack(): Buffer {
  const builder = packBuilder("list", Buffer.alloc(16, 0x29));
  builder.addList(goldenList);
  return builder.finish().bytes;
}

/** A map of whole nodes, and one whose leaf and top node are patches of them, which the point names. */
function mapsAndPoint(unit: BlobRef): { map: Buffer; patches: Buffer; point: Buffer } {
  const salt = Buffer.alloc(16, 0x24);
  const builder = packBuilder("map", salt);
  const blocks = new Array(FAN_OUT).fill(undefined);
  blocks[3] = { unit, at: 0, id: goldenIds[0] };
  blocks[5] = { unit, at: 0, id: goldenIds[0] };
  const ids = Buffer.alloc(FAN_OUT * 32);
  for (const slot of [3, 5]) ids.set(goldenIds[0], slot * 32);
  const leaf = encodeLeaf({ index: 0, blocks, badRanges: [{ offset: 4096, bytes: 512 }] });
  const leafPosition = builder.addMapNode(leaf, 0, 0);
  const first = builder.finish();
  const leafPack: PackRef = { name: first.name, salt };
  const children = new Array(FAN_OUT).fill(undefined);
  children[0] = { blob: { pack: leafPack, ...leafPosition }, hash: nodeHash(0, ids) };
  const top = packBuilder("map", Buffer.alloc(16, 0x25));
  const topPosition = top.addMapNode(encodeInnerNode({ level: 1, index: 0, children }), 1, 0);
  const second = top.finish();
  const leafRef = { pack: leafPack, ...leafPosition };
  const topRef = { pack: { name: second.name, salt: Buffer.alloc(16, 0x25) }, ...topPosition };
  // Block 5 becomes zeros, block 9 gets block 3's content.
  ids.fill(0).set(goldenIds[0], 3 * 32);
  ids.set(goldenIds[0], 9 * 32);
  const third = packBuilder("map", Buffer.alloc(16, 0x27));
  const leafPatch = encodePatch({
    ...{ level: 0, index: 0, base: leafRef },
    slots: new Map([
      [5, undefined],
      [9, { blob: unit, at: 0, hash: goldenIds[0] }],
    ]),
    badRanges: [{ offset: 4096, bytes: 512 }],
  });
  const leafPatchPosition = third.addMapNode(leafPatch, 0, 0);
  const thirdPack = third.finish();
  const fourth = packBuilder("map", Buffer.alloc(16, 0x28));
  const blob = { pack: { name: thirdPack.name, salt: Buffer.alloc(16, 0x27) }, ...leafPatchPosition };
  const topPatch = encodePatch({
    ...{ level: 1, index: 0, base: topRef, badRanges: [] },
    slots: new Map([[0, { blob, at: 0, hash: nodeHash(0, ids) }]]),
  });
  const rootPosition = fourth.addMapNode(topPatch, 1, 0);
  const fourthPack = fourth.finish();
  const hasher = new DiskHasher(goldenSizeBytes);
  hasher.addLeaf(ids);
  hasher.addLeaf(Buffer.alloc(FAN_OUT * 32));
  const point = encodePoint(
    {
      pointId: "point-4",
      sourceId: "source-1",
      createdAt: "2030-01-02T03:04:05.000Z",
      parentId: null,
      agentVersion: "0.1.0",
      disks: [
        {
          name: "sda",
          sizeBytes: goldenSizeBytes,
          root: toMapRoot({
            pack: { name: fourthPack.name, salt: Buffer.alloc(16, 0x28) },
            ...rootPosition,
          }),
          contentHash: hasher.finish().toString("hex"),
          usedBytes: 2 * BLOCK_BYTES,
          badRanges: 1,
          badBytes: 512,
          consistency: "crash",
          volumes: [
            { name: "partition 1", consistency: "file-system" },
            { name: "vg0/root", consistency: "file-system", instant: 2 },
          ],
          wholeCopies: [{ place: "partition 2", reason: "free space of btrfs is not evaluated" }],
        },
      ],
    },
    { dataKey: goldenDataKey, salt: Buffer.alloc(16, 0x26) },
  );
  return {
    map: Buffer.concat([first.bytes, second.bytes]),
    patches: Buffer.concat([thirdPack.bytes, fourthPack.bytes]),
    point,
  };
}

/**
 * Every golden file that this version writes, by name. All but `data-zstd.pack` must come out byte for byte
 * the same. `point-1`, `point-2` and `point-3` are of versions that are only read.
 */
export function buildGolden(): Record<string, Buffer> {
  const { bytes, unit } = storedPack();
  const { map, patches, point } = mapsAndPoint(unit);
  return {
    "data-stored.pack": bytes,
    "data-zstd.pack": zstdPack(),
    "list.pack": listPack(),
    "map.packs": map,
    "map-patches.packs": patches,
    "point-4": point,
    "key.json": encodeKeyObject({
      version: 1,
      sourceId: "source-1",
      keyId: "arn:aws:kms:eu-central-1:111122223333:key/golden",
      wrappedKey: Buffer.alloc(64, 0x44).toString("base64"),
    }),
  };
}

if (import.meta.main) {
  for (const [name, bytes] of Object.entries(buildGolden())) {
    const file = new URL(`../golden/${name}`, import.meta.url);
    if (!existsSync(file)) writeFileSync(file, bytes);
  }
}
