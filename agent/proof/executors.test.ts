import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProofReceiptProblem } from "#shared/domain/proof-receipt.ts";
import { createAgentKey } from "#shared/protocol/testing/agent-key.ts";
import type { DiskKey } from "../adapt/disk-key.ts";
import { executionContext } from "../commands/testing/execution-context.ts";
import { writtenImage } from "../commands/testing/written-image.ts";
import type { Repository } from "../repository/repository.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { compareParts } from "./compare-clone.ts";
import { compareFilesExecutor } from "./compare-files-executor.ts";
import { readFileList } from "./file-list.ts";
import { hashFilesExecutor } from "./hash-files-executor.ts";
import type { HashedFile, HashTask } from "./hash-trees.ts";
import { FILES_AT_ONCE, type SeenFile } from "./messages.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "proof-executors-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const IMAGE = "b".repeat(64);
const own: Repository = { sourceId: "agt_1", store: new MemoryStore(), dataKey: Buffer.alloc(32, 7) };
const file = (path: string): HashedFile => ({
  ...{ path, inode: "7", sizeBytes: 5, mode: 0o644, modified: "1", sha256: "a".repeat(64) },
  mayHaveMoved: false,
});
const swap = { place: "/swapfile", why: "it is swap space" };
const counts = { found: 3, foundAll: true, changed: 1, unreadable: 0, leftOut: [swap] };
const seenAs = ({ path: _, mayHaveMoved: __, ...facts }: HashedFile): SeenFile => facts;

test("the source reads only the disks that were asked for, and leaves a margin before the freeze", async () => {
  const asked: { disks?: string[]; task?: HashTask } = {};
  const disk = (name: string) => ({ name, path: `/dev/${name}`, isStill: false });
  const hash = hashFilesExecutor({
    disks: async () => [disk("sda"), disk("sdb")],
    trees: async (disks) => {
      asked.disks = disks.map(({ name }) => name);
      return { trees: [], leftOut: [{ place: "/efi", why: "vfat is not compared" }] };
    },
    hash: async (task, onFiles) => {
      asked.task = task;
      onFiles("aa-1", [file("a"), file("b")]);
      return counts;
    },
    repository: async () => own,
    ...{ now: () => 0, newSeed: () => "seed", agentVersion: "1.2.3" },
  });
  const input = { ownerId: "rcv_1", pointId: "rp_1", disks: ["sdb"], budgetSeconds: 60 };
  const result = await hash({ ...input, frozenFrom: "1970-01-01T00:00:10.000Z" }, executionContext());
  expect(asked).toMatchObject({
    disks: ["sdb"],
    task: { before: 5_000_000_000n, budgetMs: 60_000, seed: "seed" },
  });
  expect(result).toMatchObject({
    ...{ files: 2, bytes: 10, ...counts, leftOut: [{ place: "/efi" }, swap], agentVersion: "1.2.3" },
  });
  expect(await readFileList(own, result.list ?? "")).toEqual([
    { fileSystem: "aa-1", files: [file("a"), file("b")] },
  ]);
});

test("a running source hashes nothing for a point that has no instant", async () => {
  const hash = hashFilesExecutor({
    disks: async () => [],
    trees: () => Promise.reject(new Error("it has looked at its mounts")),
    hash: () => Promise.reject(new Error("it has read files")),
    repository: async () => own,
    ...{ now: () => 0, newSeed: () => "seed", agentVersion: "1.2.3" },
  });
  const input = { ownerId: "cut_1", pointId: "rp_1", disks: ["sda"], budgetSeconds: 60 };
  await expect(hash(input, executionContext())).rejects.toMatchObject({ name: "WrongStateError" });
});

test("a target host compares the images that it wrote, signs what it found, and does so only with a boot image", async () => {
  const key = await createAgentKey();
  const { images, disk } = await writtenImage(dir, "disk");
  const result = { equal: 1, bytes: 5, moved: 0, different: 0, differences: [], unopened: [] };
  const asked: { keys?: readonly DiskKey[] } = {};
  const deps = {
    ...{ images, repository: async () => own },
    diskKeys: async (sourceId: string) => [{ uuid: sourceId, key: Buffer.from("key") }],
    compare: async ({ keys }: { keys: readonly DiskKey[] }) => {
      asked.keys = keys;
      return { result, bootImageId: IMAGE };
    },
    agent: { id: "agt_2", version: "1.2.3", ...key },
    now: () => new Date("2030-01-01T00:05:00.000Z"),
  };
  const input = {
    ownerId: "cnv_1",
    sourceId: "agt_1",
    pointId: "rp_1",
    disks: [disk],
    list: "a".repeat(64),
    files: 1,
  };
  const compare = (bootImageDir?: string, change = {}) =>
    compareFilesExecutor({ ...deps, bootImageDir })({ ...input, ...change }, executionContext());
  // From an earlier control plane, which does not say what the source came to.
  const unsigned = await compare("/boot-image");
  expect(unsigned).toMatchObject(result);
  expect(unsigned.receipt).toBeUndefined();
  const hashed = { ...counts, list: "a".repeat(64), files: 1, bytes: 5, seconds: 1 };
  const { receipt } = await compare("/boot-image", { hashed, frozenFrom: "2030-01-01T00:00:00.000Z" });
  expect(receipt?.content).toMatchObject({
    ...{ ownerId: "cnv_1", sourceId: "agt_1", pointId: "rp_1", agentId: "agt_2", agentVersion: "1.2.3" },
    ...{ bootImageId: IMAGE, comparedAt: "2030-01-01T00:05:00.000Z", hashed, compared: result },
    outcome: "equal",
  });
  expect(receipt && findProofReceiptProblem(receipt, key.certificatePem)).toBeUndefined();
  expect(asked.keys).toEqual([{ uuid: "agt_1", key: Buffer.from("key") }]);
  const there = await compare("/boot-image", { hashed: { ...hashed, system: "boot-environment" } });
  expect(there.receipt?.content.hashed.system).toBe("boot-environment");
  // Of no system that such a point can be of.
  expect((await compare("/boot-image", { hashed })).receipt).toBeUndefined();
  await expect(compare()).rejects.toMatchObject({ name: "NoBootImageError" });
  await expect(compare("/boot-image", { pointId: "rp_2" })).rejects.toMatchObject({
    name: "ImagesNotOursError",
  });
});

test("the guest is asked in bounded questions, and only about file systems that it has opened", async () => {
  const many = Array.from({ length: FILES_AT_ONCE + 1 }, (_, number) => file(`f${number}`));
  const questions: number[] = [];
  const result = await compareParts(
    [
      { fileSystem: "aa-1", files: many },
      { fileSystem: "bb-2", files: [file("a")] },
      { fileSystem: "cc-3", files: [file("a"), file("b")] },
    ],
    {
      open: async () =>
        new Map([
          ["aa-1", undefined],
          ["bb-2", "bad magic"],
        ]),
      read: async (_, paths) => {
        questions.push(paths.length);
        return paths.map((path) => seenAs(path === "f3" ? { ...file(path), mode: 0 } : file(path)));
      },
    },
  );
  expect(questions).toEqual([FILES_AT_ONCE, 1]);
  expect(result).toMatchObject({
    ...{
      equal: FILES_AT_ONCE,
      different: 1,
      differences: [{ fileSystem: "aa-1", path: "/f3", what: "mode" }],
    },
    unopened: [
      { fileSystem: "bb-2", files: 1, why: "bad magic" },
      { fileSystem: "cc-3", files: 2, why: expect.stringContaining("no volume") },
    ],
  });
});
