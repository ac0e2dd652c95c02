import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { DiskUsage } from "../filesystems/disk-usage.ts";
import type { ConsistentView, LocalDisk, ViewKinds, ViewRequest } from "./consistent-view.ts";
import { inconsistentView } from "./inconsistent.ts";
import { withBestView } from "./open-view.ts";
import { stillView } from "./still.ts";

const folder = await mkdtemp(join(tmpdir(), "views-"));
afterAll(() => rm(folder, { recursive: true }));

async function image(name: string, isStill: boolean): Promise<LocalDisk> {
  const path = join(folder, name);
  await writeFile(path, Buffer.alloc(4 * BLOCK_BYTES, name));
  return { name, path, isStill };
}

function halfUsed(): DiskUsage {
  const used = new BlockSet(4 * BLOCK_BYTES, BLOCK_BYTES);
  used.add(0, 2 * BLOCK_BYTES);
  const partitionTable = { kind: "none" as const, partitions: [], structures: [], problems: [] };
  return { sizeBytes: used.sizeBytes, used, consistent: true, partitionTable, volumes: [], doubts: [] };
}

const kinds: ViewKinds = {
  still: stillView({ usage: async () => halfUsed() }),
  inconsistent: inconsistentView,
};

async function firstBytes(view: ConsistentView): Promise<string[]> {
  const texts: string[] = [];
  for (const { source } of view.disks) {
    const into = Buffer.alloc(512);
    await source.read(0, into);
    texts.push(into.toString("latin1", 0, 3));
  }
  return texts;
}

const requestOf = (allBlocks: boolean): ViewRequest => ({
  ...{ pointId: "rp_1", allBlocks, allowInconsistent: true, parents: new Map() },
});

test("each disk gets the best view that there is, in the order of the request, with the reason in words", async () => {
  const disks = [await image("sdb", false), await image("sda", true), await image("sdc", true)];
  const view = await withBestView(disks, kinds, requestOf(false), async (open) => {
    expect(await firstBytes(open)).toEqual(["sdb", "sda", "sdc"]);
    return open;
  });
  const copies = await Promise.all(view.disks.map(({ copy }) => copy()));
  expect(view.disks.map(({ name, kind, used }) => [name, kind, used !== undefined])).toEqual([
    ["sdb", "inconsistent", false],
    ["sda", "still", true],
    ["sdc", "still", true],
  ]);
  expect(copies.map(({ consistency }) => consistency)).toEqual(["not", "crash", "crash"]);
  expect(view.disks.map(({ reason }) => reason)).toEqual([
    expect.stringContaining("in use"),
    "nothing writes to it",
    "nothing writes to it",
  ]);
  expect(copies[0]?.wholeCopies).toMatchObject([
    { place: "disk", reason: expect.stringContaining("in use") },
  ]);
  // It is closed, and stays so.
  await view.close();
  await expect(firstBytes(view)).rejects.toThrow();
});

test("a disk that is written to while it is read is not consistent after all", async () => {
  const sda = await image("sda", true);
  const copy = await withBestView([sda], kinds, requestOf(false), async (view) => {
    await appendFile(sda.path, "more");
    return view.disks[0]?.copy();
  });
  expect(copy).toMatchObject({
    consistency: "not",
    wholeCopies: [{ place: "disk", reason: expect.stringContaining("something wrote to it") }],
  });
});

test("two views of a disk have the same content only if nothing was written in between", async () => {
  const sda = await image("sda", true);
  const content = () => withBestView([sda], kinds, requestOf(false), async (view) => view.disks[0]?.content);
  const first = await content();
  expect(await content()).toBe(first);
  await appendFile(sda.path, "more");
  expect(await content()).not.toBe(first);
});

test("if all blocks are asked for, free space is not looked for and everything is copied", async () => {
  const disks = [await image("sda", true)];
  const found = await withBestView(disks, kinds, requestOf(true), async (view) => view.disks[0]);
  expect(found).toMatchObject({ name: "sda" });
  expect(found).not.toHaveProperty("used");
});

test("if one view cannot be opened, the others are closed and its error is thrown", async () => {
  const closed: string[] = [];
  const watched: ViewKinds = {
    still: async (disks, request) => {
      const view = await kinds.still(disks, request);
      const close = async () => {
        closed.push("still");
        await view.close();
      };
      return { ...view, close };
    },
    inconsistent: inconsistentView,
  };
  const missing = { name: "sdz", path: join(folder, "none"), isStill: false };
  const disks = [await image("sda", true), missing];
  const opening = withBestView(disks, watched, requestOf(false), async () => "used");
  await expect(opening).rejects.toMatchObject({ code: "ENOENT" });
  expect(closed).toEqual(["still"]);
});

test("if one disk of a view cannot be opened, those before it are closed", async () => {
  const disks = [await image("sda", true), { name: "sdz", path: join(folder, "none"), isStill: true }];
  await expect(withBestView(disks, kinds, requestOf(false), async () => "used")).rejects.toMatchObject({
    code: "ENOENT",
  });
});

test("what failed while the view was used is thrown, even if closing the view fails, too", async () => {
  const brittle: ViewKinds = {
    still: async (disks, request) => {
      const view = await kinds.still(disks, request);
      const close = async () => {
        await view.close();
        throw new Error("the snapshot is busy");
      };
      return { ...view, close };
    },
    inconsistent: inconsistentView,
  };
  const disks = [await image("sda", true)];
  const use = async () => {
    throw new Error("the store refuses");
  };
  await expect(withBestView(disks, brittle, requestOf(false), use)).rejects.toThrow("the store refuses");
  const fine = withBestView(disks, brittle, requestOf(false), async () => "used");
  await expect(fine).rejects.toThrow("the snapshot is busy");
});
