import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { BLOCK_BYTES } from "./block.ts";
import { DiskHasher, diskHash, leafCount, nodeHash, topLevel } from "./tree.ts";

const zeros = Buffer.alloc(256 * 32);
const leafBytes = 256 * BLOCK_BYTES;

test("a disk of zeros has zero hashes at every level, whatever its size", () => {
  expect(nodeHash(3, zeros)).toEqual(Buffer.alloc(32));
  const hasher = new DiskHasher(300 * leafBytes);
  for (let leaf = 0; leaf < 300; leaf++) hasher.addLeaf(zeros);
  expect(hasher.finish()).toEqual(diskHash(300 * leafBytes, Buffer.alloc(32)));
});

test("the disk's hash is the tree's hash over all levels", () => {
  // 300 leaves need two inner nodes and a top above them.
  const leaves = Array.from({ length: 300 }, (_, leaf) => Buffer.alloc(256 * 32, (leaf % 255) + 1));
  const hasher = new DiskHasher(300 * leafBytes);
  for (const ids of leaves) hasher.addLeaf(ids);
  const hashes = leaves.map((ids) => nodeHash(0, ids));
  const inner = [hashes.slice(0, 256), hashes.slice(256)].map((group) =>
    nodeHash(1, Buffer.concat([...group, Buffer.alloc((256 - group.length) * 32)])),
  );
  const top = nodeHash(2, Buffer.concat([...inner, Buffer.alloc(254 * 32)]));
  expect(topLevel(300 * leafBytes)).toBe(2);
  expect(hasher.finish()).toEqual(diskHash(300 * leafBytes, top));
  expect(nodeHash(0, zeros.map(() => 1) as Buffer)).toEqual(
    hash("sha256", Buffer.concat([Buffer.from("causeway/1/node/0\0"), Buffer.alloc(256 * 32, 1)]), "buffer"),
  );
});

test("a disk that ends within a block still has that block and its leaf", () => {
  expect(leafCount(1)).toBe(1);
  expect(leafCount(leafBytes)).toBe(1);
  expect(leafCount(leafBytes + 1)).toBe(2);
  expect(topLevel(leafBytes)).toBe(0);
  expect(topLevel(256 * leafBytes + 1)).toBe(2);
});

test("disks of different size differ in hash even if their blocks are equal", () => {
  const [one, two] = [leafBytes, leafBytes - 1].map((size) => {
    const hasher = new DiskHasher(size);
    hasher.addLeaf(zeros);
    return hasher.finish();
  });
  expect(one).not.toEqual(two);
});
