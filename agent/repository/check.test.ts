import { hash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { captureDisk } from "../capture/capture.ts";
import { changeContent, TestDisk, testContent } from "../disk/testing/test-disk.ts";
import { restoreDisk } from "../restore/restore.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { checkRepository } from "./check.ts";
import { obtainDataKey } from "./data-key.ts";
import { commitPoint, listPoints, readPoint } from "./points.ts";
import type { Repository } from "./repository.ts";
import { SealedKeys } from "./testing/sealed-keys.ts";

const MIB = 1024 * 1024;
const settings = { packBytes: 2 * MIB, knownBlocks: 4096 };
let sound: Map<string, Buffer>;
let dataKey: Buffer;
let first: Buffer;

const view = { consistency: "crash" as const, volumes: [], wholeCopies: [] };

/** Two points of a disk, and a pack that no point refers to. */
beforeAll(async () => {
  const store = new MemoryStore();
  dataKey = await obtainDataKey(store, new SealedKeys(randomBytes(32)), "s1");
  const repository = { sourceId: "s1", store, dataKey };
  first = testContent(18 * MIB, 77);
  const commit = async (pointId: string, parentId: string | null, content: Buffer) => {
    const previous = parentId ? (await readPoint(repository, parentId)).disks[0] : undefined;
    const disk = new TestDisk(content);
    const options = { repository, disk, diskName: "sda", now: () => 0, random: Math.random, settings };
    const captured = await captureDisk({ ...options, ...(previous ? { previous } : {}) });
    const createdAt = "2030-01-01T00:00:00.000Z";
    const point = {
      pointId,
      sourceId: "s1",
      createdAt,
      parentId,
      agentVersion: "1",
      disks: [{ ...captured.disk, ...view }],
    };
    await commitPoint(repository, point, { startedAt: 0, now: 0 });
  };
  await commit("p1", null, first);
  await commit("p2", "p1", changeContent(first, [3 * MIB]));
  await captureDisk({
    repository,
    disk: new TestDisk(testContent(MIB, 78)),
    diskName: "given-up",
    now: () => 0,
    random: Math.random,
    settings,
  });
  sound = store.objects;
});

function copy(): { repository: Repository; objects: Map<string, Buffer> } {
  const store = new MemoryStore();
  for (const [key, bytes] of sound) store.objects.set(key, Buffer.from(bytes));
  return { repository: { sourceId: "s1", store, dataKey }, objects: store.objects };
}

test("a sound repository has no findings, and packs that no point refers to are listed", async () => {
  const { repository, objects } = copy();
  const report = await checkRepository({ repository });
  expect(report).toMatchObject({ ok: true, points: 2, objects: objects.size, findings: [] });
  expect(report.bytes).toBeGreaterThan(MIB);
  expect(report.unreferenced).toHaveLength(2);
  expect(await listPoints(repository)).toEqual(["p1", "p2"]);
});

test("a flipped bit anywhere under the prefix is found, and the object is named", async () => {
  const keys = [...sound.keys()];
  const places = fc.record({ key: fc.constantFrom(...keys), at: fc.nat(), bit: fc.nat(7) });
  await fc.assert(
    fc.asyncProperty(places, async ({ key, at, bit }) => {
      const { repository, objects } = copy();
      const bytes = objects.get(key) ?? Buffer.alloc(0);
      bytes.writeUInt8(bytes.readUInt8(at % bytes.length) ^ (1 << bit), at % bytes.length);
      const { ok, findings } = await checkRepository({ repository });
      expect(ok).toBe(false);
      expect(findings.map(({ object }) => object)).toEqual([key]);
    }),
    { numRuns: 25 },
  );
});

test("a damaged pack is reported with the points, disks and places that need it", async () => {
  const { repository, objects } = copy();
  const { disks } = await readPoint(repository, "p2");
  const damaged = [...objects].filter(([key, bytes]) => key.includes("/packs/") && bytes.length > MIB)[0];
  damaged?.[1].writeUInt8(damaged[1].readUInt8(5000) ^ 1, 5000);
  const { findings } = await checkRepository({ repository });
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ object: damaged?.[0], problem: "damaged" });
  expect(findings[0]?.affects.map(({ pointId, disk }) => [pointId, disk])).toEqual([
    ["p1", "sda"],
    ["p2", "sda"],
  ]);
  expect(findings[0]?.affects[0]?.offsets.length).toBeGreaterThan(0);
  // And what the check finds, restore refuses.
  const restoring = restoreDisk({ repository, disk: disks[0] ?? never(), sink: { write: async () => {} } });
  await expect(restoring).rejects.toMatchObject({ name: "DamagedObjectError", object: damaged?.[0] });
});

test("a missing object is reported as missing, be it a pack of blocks, of map nodes, or the key", async () => {
  for (const key of [...sound.keys()].filter((each) => !each.includes("/points/"))) {
    const { repository, objects } = copy();
    const expected = await checkRepository({ repository });
    if (expected.unreferenced.includes(key)) continue;
    objects.delete(key);
    const { findings } = await checkRepository({ repository });
    expect(findings.map(({ object, problem }) => [object, problem])).toEqual([[key, "missing"]]);
  }
});

test("a point under another's key, a renamed pack, and foreign objects are found", async () => {
  const { repository, objects } = copy();
  objects.set("sources/s1/points/p1", sound.get("sources/s1/points/p2") ?? Buffer.alloc(0));
  const [pack] = [...objects.keys()].filter((key) => key.includes("/packs/"));
  const renamed = `sources/s1/packs/${hash("sha256", "another")}`;
  objects.set(renamed, objects.get(pack ?? "") ?? Buffer.alloc(0));
  objects.set("sources/s1/notes.txt", Buffer.from("hello"));
  const state = `sources/s1/boot-states/cnv_1/${hash("sha256", "a state")}.json`;
  objects.set(state, Buffer.from("another state"));
  objects.set("sources/s1/boot-states/cnv_1.json", Buffer.from("state"));
  const { findings } = await checkRepository({ repository });
  expect(findings.map(({ object, problem }) => `${object} ${problem}`).sort()).toEqual(
    [
      "sources/s1/boot-states/cnv_1.json foreign",
      "sources/s1/notes.txt foreign",
      "sources/s1/points/p1 damaged",
      `${renamed} damaged`,
      `${state} damaged`,
    ].sort(),
  );
});

test("a point marked for deletion is not listed, and its mark does not count as damage", async () => {
  const { repository, objects } = copy();
  objects.set("sources/s1/pruned/p1", Buffer.alloc(0));
  expect(await listPoints(repository)).toEqual(["p2"]);
  expect((await checkRepository({ repository })).ok).toBe(true);
});

test("a boot state that a conversion saved belongs to the repository", async () => {
  const { repository, objects } = copy();
  const state = Buffer.from("state");
  objects.set(`sources/s1/boot-states/cnv_1/${hash("sha256", state)}.json`, state);
  expect((await checkRepository({ repository })).findings).toEqual([]);
});

test("both points restore to the original bytes, however much the later one shares with the first", async () => {
  const { repository } = copy();
  for (const [pointId, content] of [
    ["p1", first],
    ["p2", changeContent(first, [3 * MIB])],
  ] as const) {
    const [disk] = (await readPoint(repository, pointId)).disks;
    const bytes = Buffer.alloc(content.length, 0xee);
    await restoreDisk({
      repository,
      disk: disk ?? never(),
      sink: {
        write: async (at, part) => void bytes.set(part, at),
        zero: async (at, length) => void bytes.fill(0, at, at + length),
      },
    });
    expect(bytes.equals(content)).toBe(true);
  }
});

function never(): never {
  throw new Error("there is no such disk");
}
