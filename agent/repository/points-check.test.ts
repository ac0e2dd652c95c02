import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { prunedKey } from "#shared/format/object-keys.ts";
import type { Point } from "#shared/format/point.ts";
import { testContent } from "../disk/testing/test-disk.ts";
import { capturePoint, DATA_KEY, SOURCE } from "../standby/testing/standby-world.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { obtainDataKey } from "./data-key.ts";
import { checkPointsBySample, checkPointsWhole, type PointsReport } from "./points-check.ts";
import { SealedKeys } from "./testing/sealed-keys.ts";

const MIB = 2 ** 20;
const IDS = ["rp_1", "rp_2"];
const POINTS = `sources/${SOURCE}/points/`;
const PACKS = `sources/${SOURCE}/packs/`;
const sound = new MemoryStore();
let second: Point;

/**
 * Two points of a disk with two leaves. Most of the first is zeros, so that a sample of eight units of each
 * leaf has all of them, however full they are.
 */
beforeAll(async () => {
  await obtainDataKey(sound, new SealedKeys(randomBytes(32)), SOURCE);
  const content = Buffer.from(testContent(18 * MIB, 7)).fill(0, 4 * MIB, 16 * MIB);
  const first = await capturePoint(sound, "rp_1", { sda: content });
  second = await capturePoint(sound, "rp_2", { sda: Buffer.from(content).fill(9, 17 * MIB) }, first);
});

function copy(): MemoryStore {
  const store = new MemoryStore();
  for (const [key, bytes] of sound.objects) store.objects.set(key, Buffer.from(bytes));
  return store;
}

const checks = { sample: checkPointsBySample, whole: checkPointsWhole };
function checked(how: keyof typeof checks, store: MemoryStore, pointIds = IDS): Promise<PointsReport> {
  const repository = { sourceId: SOURCE, store, dataKey: DATA_KEY };
  return checks[how]({ repository, pointIds, random: Math.random });
}
const verdicts = ({ points }: PointsReport) => points.map(({ verdict }) => verdict);
const both = Object.keys(checks) as (keyof typeof checks)[];

test.each(both)("points without damage are sound, and a check by %s reads some of them", async (how) => {
  const report = await checked(how, copy());
  expect(report).toMatchObject({
    problems: [],
    points: IDS.map((pointId) => ({ pointId, verdict: "sound" })),
  });
  expect(report.bytesRead).toBeGreaterThan(100_000);
});

test.each(both)("by %s, a point that is missing is damaged, and the other is sound", async (how) => {
  const store = copy();
  store.objects.delete(`${POINTS}rp_1`);
  const report = await checked(how, store);
  expect(verdicts(report)).toEqual(["damaged", "sound"]);
  expect(report.problems).toEqual([`there is no object ${POINTS}rp_1`]);
});

test.each(both)("by %s, a point that was pruned and collected is gone, which is no damage", async (how) => {
  const store = copy();
  store.objects.delete(`${POINTS}rp_1`);
  store.objects.set(prunedKey(SOURCE, "rp_1"), Buffer.alloc(0));
  const report = await checked(how, store);
  expect(verdicts(report)).toEqual(["gone", "sound"]);
  expect(report.problems).toEqual([]);
});

test.each(both)("by %s, a point that is collected during the check is gone", async (how) => {
  const store = copy();
  store.objects.set(prunedKey(SOURCE, "rp_2"), Buffer.alloc(0));
  const own = second.disks[0]?.root?.pack;
  const get = store.get.bind(store);
  // The point itself is read; then the collection deletes it, and a pack that only it needs.
  store.get = async (key, options) => {
    const bytes = await get(key, options);
    if (key === `${POINTS}rp_2`) {
      store.objects.delete(key);
      store.objects.delete(`${PACKS}${own}`);
    }
    return bytes;
  };
  expect(verdicts(await checked(how, store))).toEqual(["sound", "gone"]);
});

test.each(both)("by %s, each pack that is missing is named, with the points that need it", async (how) => {
  for (const key of [...sound.objects.keys()].filter((each) => each.startsWith(PACKS))) {
    const store = copy();
    store.objects.delete(key);
    const report = await checked(how, store);
    expect(verdicts(report), key).toContain("damaged");
    expect(report.problems.join(), key).toContain(key);
  }
});

test("a whole check finds every flipped bit of a point or a pack, and says which points it concerns", async () => {
  const keys = [...sound.objects.keys()].filter((key) => key.startsWith(POINTS) || key.startsWith(PACKS));
  const places = fc.record({ key: fc.constantFrom(...keys), at: fc.nat(), bit: fc.nat(7) });
  await fc.assert(
    fc.asyncProperty(places, async ({ key, at, bit }) => {
      const store = copy();
      flip(store, key, at, bit);
      const report = await checked("whole", store);
      expect(verdicts(report)).toContain("damaged");
      expect(report.problems.join()).toContain(key);
    }),
    { numRuns: 10 },
  );
});

test("a sample finds a flipped bit in a part that it reads, and never blames a point without reason", async () => {
  const keys = [...sound.objects.keys()].filter((key) => key.startsWith(PACKS));
  const places = fc.record({ key: fc.constantFrom(...keys), at: fc.nat(), bit: fc.nat(7) });
  await fc.assert(
    fc.asyncProperty(places, async ({ key, at, bit }) => {
      const store = copy();
      flip(store, key, at, bit);
      const whole = await checked("whole", store);
      const sample = await checked("sample", store);
      for (const [index, verdict] of verdicts(sample).entries())
        if (verdict === "damaged") expect(verdicts(whole)[index]).toBe("damaged");
    }),
    { numRuns: 10 },
  );
});

test("a sample of a disk of which most is damaged finds it although it reads a small part", async () => {
  const store = new MemoryStore();
  await capturePoint(store, "rp_1", { sda: testContent(128 * MIB, 3) });
  const before = [...store.objects.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  const { bytesRead } = await checked("sample", store, ["rp_1"]);
  expect(bytesRead).toBeLessThan(before / 4);
  for (const [key, bytes] of store.objects) if (key.startsWith(PACKS)) bytes.fill(0, 100, bytes.length >> 1);
  expect(verdicts(await checked("sample", store, ["rp_1"]))).toEqual(["damaged"]);
});

function flip(store: MemoryStore, key: string, at: number, bit: number): void {
  const bytes = store.objects.get(key) ?? Buffer.alloc(0);
  bytes.writeUInt8(bytes.readUInt8(at % bytes.length) ^ (1 << bit), at % bytes.length);
}
