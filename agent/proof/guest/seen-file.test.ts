import { closeSync, constants, openSync } from "node:fs";
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Comparison } from "../compare.ts";
import { type HashedFile, hashTrees } from "../hash-trees.ts";
import { wholeTree } from "../testing/whole-tree.ts";
import { seenFile } from "./seen-file.ts";

let dir: string;
const original = () => join(dir, "original");
const copy = (...path: string[]) => join(dir, "copy", ...path);

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "seen-file-"));
  await mkdir(join(original(), "etc/app"), { recursive: true });
  await writeFile(join(original(), "etc/hosts"), "127.0.0.1 localhost\n");
  await writeFile(join(original(), "etc/app/a\nb"), "odd name");
  await writeFile(join(original(), "etc/app/large"), Buffer.alloc(700_000, "large"));
  await cp(original(), copy(), { recursive: true, preserveTimestamps: true });
  for (const name of ["etc/hosts", "etc/app/a\nb", "etc/app/large"])
    for (const root of [original(), copy()]) await utimes(join(root, name), 1_600_000_000, 1_600_000_000);
});
afterEach(() => rm(dir, { recursive: true }));

function compared(beforeMs = Date.now() + 60_000): Comparison["result"] {
  const listed: HashedFile[] = [];
  const task = { before: BigInt(beforeMs) * 1_000_000n, budgetMs: 10_000, seed: "" };
  const trees = [wholeTree(original())];
  hashTrees({ ...task, trees }, (_, some) => listed.push(...some));
  const root = openSync(copy(), constants.O_RDONLY | constants.O_DIRECTORY);
  const comparison = new Comparison();
  for (const file of listed) comparison.add("fs-1", file, seenFile(root, Buffer.from(file.path, "latin1")));
  closeSync(root);
  return comparison.result;
}

test("a copy whose files are the same is equal, odd names included", () => {
  const none = { moved: 0, different: 0, differences: [], unopened: [] };
  expect(compared()).toEqual({ equal: 3, bytes: 700_028, ...none });
});

test.each<[string, string, () => Promise<unknown>]>([
  ["content", "/etc/hosts", () => change("127.0.0.2 localhost\n")],
  ["size", "/etc/hosts", () => truncate(copy("etc/hosts"), 4)],
  ["missing", "/etc/hosts", () => rm(copy("etc/hosts"))],
  ["mode", "/etc/hosts", () => chmod(copy("etc/hosts"), 0o600)],
  ["modified", "/etc/hosts", () => utimes(copy("etc/hosts"), 1, 1)],
  ["no-file", "/etc/hosts", () => rm(copy("etc/hosts")).then(() => mkdir(copy("etc/hosts")))],
  [
    "missing",
    "/etc/hosts",
    () => rm(copy("etc/hosts")).then(() => symlink(join(original(), "etc/hosts"), copy("etc/hosts"))),
  ],
  ["missing", "/etc/app/a\\x0ab", () => rm(copy("etc/app/a\nb"))],
])("a difference of the kind %s is found, and says where: %s", async (what, path, damage) => {
  await damage();
  expect(compared()).toMatchObject({
    equal: 2,
    different: 1,
    differences: [{ fileSystem: "fs-1", path, what }],
  });
});

/** Of one byte, with the time set back, as damage to a disk would be. */
async function change(text: string): Promise<void> {
  await writeFile(copy("etc/hosts"), text);
  await utimes(copy("etc/hosts"), 1_600_000_000, 1_600_000_000);
}

test("files of a folder that was moved since are neither equal nor different, also if the clone has others there", async () => {
  const before = Date.now() + 100;
  await wait(300);
  await rename(join(original(), "etc/app"), join(original(), "app"));
  await mkdir(copy("app"));
  await writeFile(copy("app/large"), "of another folder, which was there at the freeze");
  expect(compared(before)).toMatchObject({ moved: 3, different: 0, differences: [] });
});

test("a moved folder's file is the same one if it has the same number, and then it must be equal", () => {
  const facts = { inode: "7", sizeBytes: 1, mode: 0o644, modified: "1", sha256: "a".repeat(64) };
  const comparison = new Comparison();
  const listed = { ...facts, path: "a", mayHaveMoved: true };
  comparison.add("fs-1", listed, facts);
  comparison.add("fs-1", listed, { ...facts, sha256: "b".repeat(64) });
  comparison.add("fs-1", listed, { problem: "unreadable" });
  comparison.add("fs-1", listed, { problem: "missing" });
  comparison.add("fs-1", listed, { ...facts, inode: "8" });
  expect(comparison.result).toMatchObject({ equal: 1, moved: 2, different: 2 });
});

test("a folder that was exchanged for a link to an equal one is not followed", async () => {
  await rename(copy("etc/app"), join(dir, "elsewhere"));
  await symlink(join(dir, "elsewhere"), copy("etc/app"));
  expect(compared()).toMatchObject({
    equal: 1,
    different: 2,
    differences: [{ what: "missing" }, { what: "missing" }],
  });
});
