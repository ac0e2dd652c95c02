import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { hashInWorker } from "./hash-in-worker.ts";
import { type HashCounts, type HashedFile, type HashTask, hashTrees } from "./hash-trees.ts";
import { wholeTree } from "./testing/whole-tree.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "hash-trees-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const ms = (time: number) => BigInt(Math.round(time)) * 1_000_000n;
const task = (change: Partial<HashTask> = {}): HashTask => ({
  trees: [wholeTree(root)],
  ...{ before: ms(Date.now() + 60_000), budgetMs: 30_000, seed: "seed" },
  ...change,
});

function hashed(change: Partial<HashTask> = {}): { files: HashedFile[]; counts: HashCounts } {
  const files: HashedFile[] = [];
  const counts = hashTrees(task(change), (_, some) => files.push(...some));
  return { files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)), counts };
}
const paths = (change: Partial<HashTask> = {}) => hashed(change).files.map(({ path }) => path);

test("where nothing else runs, a file is hashed however new it is, and no folder can have moved", () => {
  writeFileSync(join(root, "new"), "new");
  execFileSync("touch", ["--date=@9999999999", join(root, "new")]);
  const { before: _, ...still } = task();
  const files: HashedFile[] = [];
  const counts = hashTrees(still, (__, some) => files.push(...some));
  expect(files).toMatchObject([{ path: "new", mayHaveMoved: false }]);
  expect(counts).toMatchObject({ found: 1, changed: 0 });
});

test("every regular file is hashed with its size, mode and time, whatever its name", () => {
  const odd = Buffer.from([0xff, 0x0a, 0x1b]);
  mkdirSync(join(root, "etc/deep"), { recursive: true });
  writeFileSync(join(root, "etc/hosts"), "127.0.0.1\n");
  chmodSync(join(root, "etc/hosts"), 0o640);
  execFileSync("touch", ["--date=@-5", join(root, "etc/hosts")]);
  writeFileSync(join(root, "etc/deep/empty"), "");
  writeFileSync(Buffer.concat([Buffer.from(`${root}/etc/`), odd]), Buffer.alloc(600_000, "odd"));
  const { files, counts } = hashed();
  expect(files).toMatchObject([
    {
      path: "etc/deep/empty",
      inode: expect.stringMatching(/^\d+$/),
      mayHaveMoved: false,
      sizeBytes: 0,
      mode: 0o644,
      modified: expect.any(String),
      sha256: hash("sha256", ""),
    },
    {
      path: "etc/hosts",
      sizeBytes: 10,
      mode: 0o640,
      modified: "-5000000000",
      sha256: hash("sha256", "127.0.0.1\n"),
    },
    {
      path: "etc/\xff\n\x1b",
      sizeBytes: 600_000,
      sha256: hash("sha256", Buffer.alloc(600_000, "odd")),
    },
  ]);
  expect(counts).toEqual({ found: 3, foundAll: true, changed: 0, unreadable: 0, leftOut: [] });
});

test("links, pipes and devices are not hashed, no link is followed, and a file with two names is hashed once", () => {
  mkdirSync(join(root, "folder"));
  writeFileSync(join(root, "folder/file"), "x");
  symlinkSync("folder", join(root, "link"));
  symlinkSync("/etc", join(root, "out"));
  linkSync(join(root, "folder/file"), join(root, "second-name"));
  execFileSync("mkfifo", [join(root, "pipe")]);
  execFileSync("mknod", [join(root, "null"), "c", "1", "3"]);
  const { files, counts } = hashed();
  expect(files).toHaveLength(1);
  expect(counts).toMatchObject({ found: 1, unreadable: 0 });
});

test("what has changed since the freeze is counted, and neither read nor listed", () => {
  writeFileSync(join(root, "old"), "old");
  writeFileSync(join(root, "attributes"), "new mode");
  const before = ms(Date.now() + 1000);
  execFileSync("sleep", ["1.2"]);
  chmodSync(join(root, "attributes"), 0o600);
  writeFileSync(join(root, "new"), "new");
  expect(paths({ before })).toEqual(["old"]);
  expect(hashed({ before }).counts).toMatchObject({ found: 3, changed: 2 });
});

test("the seed alone decides which files are read if there is no time for all", () => {
  for (let number = 0; number < 40; number++) writeFileSync(join(root, `f${number}`), `${number}`);
  const inOrder = (seed: string) => {
    const files: string[] = [];
    hashTrees(task({ seed }), (_, some) => files.push(...some.map(({ path }) => path)));
    return files;
  };
  expect(inOrder("a")).toEqual(inOrder("a"));
  expect(inOrder("a")).not.toEqual(inOrder("b"));
  expect(inOrder("a").toSorted()).toEqual(inOrder("b").toSorted());
  expect(hashed({ budgetMs: 0 })).toEqual({
    files: [],
    counts: { found: 0, foundAll: false, changed: 0, unreadable: 0, leftOut: [] },
  });
});

test("paths begin at the top of the file system, also where only a folder of it is mounted", () => {
  writeFileSync(join(root, "file"), "x");
  expect(paths({ trees: [wholeTree(root, { prefix: "@home" })] })).toEqual(["@home/file"]);
});

test("files below a folder that was moved or changed since the freeze are marked, others are not", () => {
  for (const folder of ["still", "in/moved/deep", "in/changed"])
    mkdirSync(join(root, folder), { recursive: true });
  for (const path of ["still/a", "in/moved/deep/b", "in/changed/c"]) writeFileSync(join(root, path), path);
  const before = ms(Date.now() + 100);
  execFileSync("sleep", ["0.3"]);
  renameSync(join(root, "in/moved"), join(root, "in/elsewhere"));
  writeFileSync(join(root, "in/changed/new"), "");
  expect(hashed({ before }).files.map(({ path, mayHaveMoved }) => [path, mayHaveMoved])).toEqual([
    ["in/changed/c", true],
    ["in/elsewhere/deep/b", true],
    ["still/a", false],
  ]);
  // Names at the top can be exchanged without a trace below.
  writeFileSync(join(root, "new"), "");
  expect(hashed({ before }).files.map(({ mayHaveMoved }) => mayHaveMoved)).toEqual([true, true, true]);
});

test("where something else is mounted, nothing is opened, and a mount point that leads elsewhere is left out", () => {
  for (const folder of ["etc", "mnt/net"]) mkdirSync(join(root, folder), { recursive: true });
  for (const path of ["etc/a", "mnt/b", "mnt/net/c"]) writeFileSync(join(root, path), path);
  const mounts = new Set(["mnt/net", "etc/a"]);
  expect(paths({ trees: [wholeTree(root, { mounts })] })).toEqual(["mnt/b"]);
  const trees = [wholeTree(root, { mountId: "0" }), wholeTree(root, { place: join(root, "gone") })];
  expect(hashed({ trees })).toEqual({
    files: [],
    counts: {
      ...{ found: 0, foundAll: true, changed: 0, unreadable: 0 },
      leftOut: [
        { place: root, why: "something else is mounted over it" },
        { place: join(root, "gone"), why: "it cannot be opened (ENOENT)" },
      ],
    },
  });
});

test("files whose paths are too long for the list are left out, and the result says that not all were found", () => {
  mkdirSync(join(root, "folder"));
  for (const path of ["near", "folder/far"]) writeFileSync(join(root, path), path);
  const prefix = "p".repeat(4088);
  const { files, counts } = hashed({ trees: [wholeTree(root, { prefix })] });
  expect(files.map(({ path }) => path)).toEqual([`${prefix}/near`]);
  expect(counts).toMatchObject({ found: 1, foundAll: false, unreadable: 0 });
});

test("swap space in a file, into which the kernel writes unseen, is left out and named", () => {
  const swap = Buffer.alloc(64 * 1024);
  swap.write("SWAPSPACE2", 4086);
  writeFileSync(join(root, "swapfile"), swap);
  writeFileSync(join(root, "other"), Buffer.alloc(64 * 1024));
  const { files, counts } = hashed();
  expect(files.map(({ path }) => path)).toEqual(["other"]);
  expect(counts).toMatchObject({
    ...{ found: 2, changed: 0, leftOut: [{ place: join(root, "swapfile"), why: "it is swap space" }] },
  });
});

test("a thread returns the same result, and ends when it is cancelled", async () => {
  writeFileSync(join(root, "file"), "x");
  const files: string[] = [];
  const { signal } = new AbortController();
  const counts = await hashInWorker(task(), (_, some) => files.push(...some.map(({ path }) => path)), signal);
  expect([files, counts.found]).toEqual([["file"], 1]);
  const cancel = new AbortController();
  const cancelled = hashInWorker(task(), () => undefined, cancel.signal);
  cancel.abort(new Error("cancelled"));
  await expect(cancelled).rejects.toThrow("cancelled");
});
