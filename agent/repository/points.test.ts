import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { CAPTURE_AGE_MS } from "#shared/format/ages.ts";
import { captureDisk } from "../capture/capture.ts";
import { TestDisk, testContent } from "../disk/testing/test-disk.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { loadDataKey, obtainDataKey } from "./data-key.ts";
import { CaptureTooOldError, commitPoint, PointExistsError, readPoint } from "./points.ts";
import { SealedKeys } from "./testing/sealed-keys.ts";

const times = { startedAt: 0, now: 1000 };
const disk = {
  name: "sda",
  sizeBytes: 1,
  root: null,
  contentHash: "00".repeat(32),
  usedBytes: 0,
  badRanges: 0,
  badBytes: 0,
  consistency: "crash" as const,
  volumes: [],
  wholeCopies: [],
};
const point = {
  pointId: "p1",
  sourceId: "s1",
  createdAt: "2030-01-01T00:00:00.000Z",
  parentId: null,
  agentVersion: "1",
  disks: [disk],
};
const newRepository = () => ({ sourceId: "s1", store: new MemoryStore(), dataKey: randomBytes(32) });

test("committing the same point again succeeds, another point under its id is refused", async () => {
  const repository = newRepository();
  await commitPoint(repository, point, times);
  await commitPoint(repository, { ...point, createdAt: "2030-02-02T00:00:00.000Z" }, times);
  await expect(commitPoint(repository, { ...point, agentVersion: "2" }, times)).rejects.toThrow(
    PointExistsError,
  );
  expect(await readPoint(repository, "p1")).toEqual(point);
});

test("a capture that took longer than its parent is kept is not committed", async () => {
  const late = { startedAt: 0, now: CAPTURE_AGE_MS + 1 };
  await expect(commitPoint(newRepository(), { ...point, parentId: "p0" }, late)).rejects.toThrow(
    CaptureTooOldError,
  );
  await commitPoint(newRepository(), point, late);
});

test("agents that make the data key at the same time all get the same one", async () => {
  const store = new MemoryStore();
  const keys = new SealedKeys(randomBytes(32));
  const made = await Promise.all([1, 2, 3].map(() => obtainDataKey(store, keys, "s1")));
  expect(new Set(made.map((key) => key.toString("hex"))).size).toBe(1);
  expect(await loadDataKey(store, keys, "s1")).toEqual(made[0]);
});

test("a data key of one source server does not open as another's", async () => {
  const store = new MemoryStore();
  const keys = new SealedKeys(randomBytes(32));
  await obtainDataKey(store, keys, "s1");
  const stolen = store.objects.get("sources/s1/key.json") ?? Buffer.alloc(0);
  store.objects.set("sources/s2/key.json", stolen);
  await expect(loadDataKey(store, keys, "s2")).rejects.toThrow();
});

test("a first capture may take longer as long as its packs are there, and is refused once one is missing", async () => {
  const repository = newRepository();
  const options = { repository, diskName: "sda", now: () => 0, random: Math.random };
  const captured = await captureDisk({ ...options, disk: new TestDisk(testContent(2 ** 20, 3)) });
  const view = { consistency: "crash" as const, volumes: [], wholeCopies: [] };
  const first = { ...point, disks: [{ ...captured.disk, ...view }] };
  const late = { startedAt: 0, now: CAPTURE_AGE_MS + 1 };
  const packs = [...repository.store.objects].filter(([key]) => key.includes("/packs/"));
  expect(packs.length).toBeGreaterThan(1);
  for (const [key, bytes] of packs) {
    repository.store.objects.delete(key);
    await expect(commitPoint(repository, first, late)).rejects.toThrow(CaptureTooOldError);
    repository.store.objects.set(key, bytes);
  }
  await commitPoint(repository, first, late);
  expect(await readPoint(repository, "p1")).toEqual(first);
});
