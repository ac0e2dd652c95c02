import { beforeEach, expect, test } from "vitest";
import { parseRetention } from "#shared/domain/protection/retention.ts";
import { FakePruneMarks } from "../testing/fake-prune-marks.ts";
import { World } from "../testing/world.ts";
import { judgeByRetention, pruneByRetention, prunePoints } from "./prune.ts";

const DAY_MS = 24 * 3_600_000;
let world: World;
let marks: FakePruneMarks;
const deps = () => ({ store: world.store, clock: world.clock, marks });
const order = (keep: string, pinned: string[] = []) => ({
  sourceId: "agt_source",
  plan: { id: "plan_1", retention: parseRetention(keep), timeZone: "UTC" },
  pinned: new Set(pinned),
  actor: "causeway",
});
const prune = (keep: string, pinned: string[] = []) => pruneByRetention(order(keep, pinned), deps());
const shown = async () =>
  (await world.store.points.ofSource("agt_source")).map(
    ({ id, prunedAt }) => id + (prunedAt ? " pruned" : ""),
  );

async function addPoint(day: number, change: { planId?: string | undefined } = { planId: "plan_1" }) {
  const createdAt = new Date(world.nowMs + (day - 10) * DAY_MS).toISOString();
  const point = { id: `rp_${day}`, sourceId: "agt_source", conversionId: "cnv_1", createdAt, disks: [] };
  await world.store.points.add({ ...point, ...change });
}

beforeEach(async () => {
  world = await World.start();
  marks = new FakePruneMarks(world.outage);
  for (const day of [1, 2, 3, 4, 5]) await addPoint(day);
});

test("a plan's retention prunes its points: records, marks and audit say so", async () => {
  const verdicts = await prune("last=2");
  expect(verdicts.map(({ id, keptBy }) => `${id} ${keptBy}`)).toEqual([
    "rp_5 last",
    "rp_4 last",
    "rp_3 ",
    "rp_2 ",
    "rp_1 ",
  ]);
  expect(await shown()).toEqual(["rp_1 pruned", "rp_2 pruned", "rp_3 pruned", "rp_4", "rp_5"]);
  expect(marks.marked.toSorted()).toEqual(["agt_source rp_1", "agt_source rp_2", "agt_source rp_3"]);
  expect((await world.audited()).toSorted()).toEqual([
    "causeway recovery-point-pruned rp_1 done",
    "causeway recovery-point-pruned rp_2 done",
    "causeway recovery-point-pruned rp_3 done",
  ]);
});

test("pruning again changes nothing", async () => {
  await prune("last=2");
  const before = [await shown(), await world.audited(), [...marks.marked]];
  world.nowMs += DAY_MS;
  await prune("last=2");
  expect([await shown(), await world.audited(), [...marks.marked]]).toEqual(before);
});

test("judging changes nothing", async () => {
  await judgeByRetention(order("last=1"), deps());
  expect(await shown()).toEqual(["rp_1", "rp_2", "rp_3", "rp_4", "rp_5"]);
  expect(marks.marked).toEqual([]);
});

test("points of a conversion, of another plan, and pinned ones stay", async () => {
  await addPoint(6, { planId: undefined });
  await addPoint(7, { planId: "plan_2" });
  await prune("last=1", ["rp_2"]);
  expect((await shown()).filter((point) => !point.endsWith("pruned"))).toEqual([
    "rp_2",
    "rp_5",
    "rp_6",
    "rp_7",
  ]);
});

test("a point that was pruned stays so when the plan keeps more, and the plan's rules do not count it", async () => {
  await prune("last=2");
  const verdicts = await prune("last=4");
  expect(verdicts.map(({ id }) => id)).toEqual(["rp_5", "rp_4"]);
});

test("a point whose record says that it stays never has a mark, whatever was interrupted, and the next run finishes", async () => {
  world.outage.strike("mark");
  await expect(prune("last=4")).rejects.toThrow("outage of mark");
  expect(await shown()).toEqual(["rp_1 pruned", "rp_2", "rp_3", "rp_4", "rp_5"]);
  expect(marks.marked).toEqual([]);
  // By now the plan keeps more: what was decided is carried out all the same.
  await prune("last=10");
  expect(marks.marked).toEqual(["agt_source rp_1"]);
  expect(await world.audited()).toEqual(["causeway recovery-point-pruned rp_1 done"]);
});

test("points that an operator names are pruned, those of other sources are not", async () => {
  const named = { sourceId: "agt_other", pointIds: ["rp_1"], actor: "ada", why: "the plan was deleted" };
  await prunePoints(named, deps());
  expect(marks.marked).toEqual([]);
  await prunePoints({ ...named, sourceId: "agt_source" }, deps());
  expect(marks.marked).toEqual(["agt_source rp_1"]);
});
