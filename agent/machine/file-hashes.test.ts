import { createHash } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { open, readFile, rename, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { FileHashes } from "./file-hashes.ts";

const SIZE = 2 * 2 ** 20;

function place(): string {
  return join(mkdtempSync(join(tmpdir(), "file-hashes-")), "image");
}

async function actual(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

test("a large file that has not changed is read once", async () => {
  const path = place();
  await writeFile(path, Buffer.alloc(SIZE, 1));
  const hashes = new FileHashes();
  const read = await readsOf(path);
  const first = await hashes.of(path);
  expect(read).toHaveBeenCalled();
  read.mockClear();
  expect(await hashes.of(path)).toBe(first);
  expect(read).not.toHaveBeenCalled();
  read.mockRestore();
  expect(first).toBe(await actual(path));
});

/** Counts the reads of all file handles from now on. */
async function readsOf(path: string) {
  await using file = await open(path, "r");
  return vi.spyOn(Object.getPrototypeOf(file), "read");
}

test.each<[string, (path: string) => Promise<void>]>([
  ["one byte is written at once after the hash", (path) => overwrite(path)],
  [
    "one byte is written and the time of modification put back",
    async (path) => {
      await overwrite(path);
      await utimes(path, 1_000_000, 1_000_000);
    },
  ],
  [
    "another file of the same size and time takes its name",
    async (path) => {
      await writeFile(`${path}.other`, Buffer.alloc(SIZE, 2));
      await utimes(`${path}.other`, 1_000_000, 1_000_000);
      await rename(`${path}.other`, path);
    },
  ],
])("the hash is that of the bytes now when %s", async (_, change) => {
  const path = place();
  await writeFile(path, Buffer.alloc(SIZE, 1));
  await utimes(path, 1_000_000, 1_000_000);
  const hashes = new FileHashes();
  const before = await hashes.of(path);
  await change(path);
  expect(await hashes.of(path)).not.toBe(before);
  expect(await hashes.of(path)).toBe(await actual(path));
});

test("every write between two hashes is seen, however close they are", async () => {
  const path = place();
  await writeFile(path, Buffer.alloc(SIZE, 1));
  const hashes = new FileHashes();
  for (let byte = 2; byte < 12; byte++) {
    await overwrite(path, byte);
    expect(await hashes.of(path)).toBe(await actual(path));
  }
});

test("a file that does not exist throws what opening it throws", async () => {
  await expect(new FileHashes().of("/no/such/file")).rejects.toThrow("ENOENT");
});

async function overwrite(path: string, byte = 9): Promise<void> {
  await using file = await open(path, "r+");
  await file.write(Buffer.of(byte), 0, 1, 1000);
}
