import { hash, randomBytes } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { packKey } from "#shared/format/object-keys.ts";
import { PackBuilder, type PackKind } from "#shared/format/pack.ts";
import type { Repository } from "../repository/repository.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { FileListWriter, readFileList } from "./file-list.ts";
import type { HashedFile } from "./hash-trees.ts";

const SHA = "a".repeat(64);
const repository = (): Repository & { store: MemoryStore } => ({
  ...{ sourceId: "agt_1", store: new MemoryStore(), dataKey: Buffer.alloc(32, 7) },
});
const file = (path: string): HashedFile => ({
  ...{ path, inode: "7", sizeBytes: 5, mode: 0o644, modified: "1600000000000000001", sha256: SHA },
  mayHaveMoved: true,
});

test("a list is read back as it was written, with names of any bytes, in as many parts as it needs", async () => {
  const own = repository();
  const writer = new FileListWriter(own, 0);
  const many = Array.from({ length: 5000 }, (_, number) => file(`var/${"x".repeat(60)}${number}`));
  writer.add("aa-1", [file("etc/\xff\n")]);
  writer.add("bb-2", many);
  expect(writer.counts).toEqual({ files: 5001, bytes: 25_005 });
  const list = await writer.store();
  const parts = await readFileList(own, list ?? "");
  expect(parts.length).toBeGreaterThan(2);
  expect(parts[0]).toEqual({ fileSystem: "aa-1", files: [file("etc/\xff\n")] });
  expect(parts.slice(1).flatMap(({ files }) => files)).toEqual(many);
});

test("an empty list is not stored", async () => {
  const own = repository();
  expect(await new FileListWriter(own, 0).store()).toBeUndefined();
  expect(own.store.objects.size).toBe(0);
});

test("a list that gets too long is cut, and says how much of it there is", async () => {
  const own = repository();
  const writer = new FileListWriter(own, 0);
  // Such names compress to half of their length.
  for (let round = 0; round < 100; round++)
    writer.add(
      "aa-1",
      [...Array(150)].map(() => file(randomBytes(1500).toString("hex"))),
    );
  const { files } = writer.counts;
  expect(files).toBeLessThan(15_000);
  const parts = await readFileList(own, (await writer.store()) ?? "");
  expect(parts.reduce((sum, part) => sum + part.files.length, 0)).toBe(files);
});

test("files for which a target host would need too much memory are left out, however little room they take", async () => {
  const own = repository();
  const writer = new FileListWriter(own, 0);
  const paths = Array.from({ length: 1000 }, (_, number) => file(`${"same/".repeat(400)}${number}`));
  for (let round = 0; round < 15; round++) writer.add("aa-1", paths);
  const { files } = writer.counts;
  expect(files).toBeGreaterThan(5000);
  expect(files).toBeLessThan(15_000);
  const parts = await readFileList(own, (await writer.store()) ?? "");
  expect(parts.reduce((sum, { files: { length } }) => sum + length, 0)).toBe(files);
});

/** What a source with its own key could store. */
async function stored(own: Repository, bytes: Buffer, kind: PackKind = "list", times = 1): Promise<string> {
  const builder = new PackBuilder({
    ...{ kind, dataKey: own.dataKey, salt: randomBytes(16), buffer: Buffer.alloc(2 ** 20) },
    ...{
      origin: { captureId: Buffer.alloc(16), startedAt: 0, diskName: "" },
      sealing: { scratch: Buffer.alloc(0) },
    },
  });
  if (kind === "map") builder.addMapNode(bytes, 0, 0);
  else for (let at = 0; at < times; at++) builder.addList(bytes);
  const pack = builder.finish();
  const sha256 = hash("sha256", pack.bytes);
  await own.store.put(packKey(own.sourceId, sha256), pack.bytes, { sha256 });
  return sha256;
}

const part = (path: string, change: object = {}) => ({
  fileSystem: "aa-1",
  files: [[Buffer.from(path).toString("base64"), "7", 5, 0o644, "1", SHA, false]],
  ...change,
});

test.each([
  ["a path that leads up", part("../etc/shadow")],
  ["a path that leads up in its middle", part("a/../../b")],
  ["an absolute path", part("/etc/shadow")],
  ["a path that ends as a folder", part("etc/")],
  ["no path", part("")],
  ["a name with a zero byte", part("a\0b")],
  ["a path that is longer than Linux allows", part("a/".repeat(2049).slice(0, -1))],
  ["a file system that is none", part("a", { fileSystem: "../aa" })],
  ["another field", part("a", { more: 1 })],
  ["a size below zero", part("a", { files: [["YQ==", "7", -1, 0, "1", SHA, false]] })],
])("a list with %s is damaged", async (_, content) => {
  const own = repository();
  const list = await stored(own, zstdCompressSync(JSON.stringify(content)));
  await expect(readFileList(own, list)).rejects.toMatchObject({ name: "DamagedObjectError" });
});

test("many small parts that expand to more than a list can be are damaged", async () => {
  const own = repository();
  const files = Array.from({ length: 100 }, () => part(`${"same/".repeat(800)}x`).files[0]);
  const list = await stored(own, zstdCompressSync(JSON.stringify(part("", { files }))), "list", 100);
  await expect(readFileList(own, list)).rejects.toMatchObject({
    ...{ name: "DamagedObjectError", message: expect.stringContaining("longer than a list") },
  });
});

test("what expands without end, is no list, or has another hash is damaged, and nothing is missing quietly", async () => {
  const own = repository();
  const bomb = await stored(own, zstdCompressSync(Buffer.alloc(2 ** 26)));
  const map = await stored(own, Buffer.from("node"), "map");
  const other = await stored(own, zstdCompressSync(JSON.stringify(part("a"))));
  own.store.objects.set(
    packKey(own.sourceId, SHA),
    own.store.objects.get(packKey(own.sourceId, other)) as Buffer,
  );
  for (const list of [bomb, map, SHA])
    await expect(readFileList(own, list)).rejects.toMatchObject({ name: "DamagedObjectError" });
  own.store.objects.clear();
  await expect(readFileList(own, SHA)).rejects.toMatchObject({ name: "ObjectNotFoundError" });
});
