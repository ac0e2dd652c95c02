/**
 * Prune, collect-garbage and `repo check` on a real control plane, beside a capture that is uploading: the
 * capture's point is complete, and everything that is kept restores to the bytes of its time.
 */
import { globSync, statSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CheckReport } from "#agent/repository/check.ts";
import type { Check } from "#shared/protocol/repository-check.ts";
import type { Collection, RecoveryPoint } from "#shared/protocol/resources.ts";
import { writeTestDisk } from "../testing/disk-content.ts";
import { completedRun, differenceOfRun } from "../testing/plan-runs.ts";
import { Site } from "../testing/site.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;
const DISK_BYTES = 24 * MiB;
/** So slow that what runs beside a capture ends before it. */
const SLOW = { bandwidthLimitBytesPerSecond: MiB / 2 };

let site: Site;
let planId: string;

beforeAll(async () => {
  site = await Site.start({ disks: { vda: DISK_BYTES } });
  const body = { sourceId: site.sourceId, intervalSeconds: 86_400, retention: { last: 50 }, ...SLOW };
  planId = (await site.api.createPlan({ body })).id;
});
afterAll(() => site?.[Symbol.asyncDispose]());

const lastRun = async () => (await site.api.getPlan({ parameters: { id: planId } })).lastRun ?? undefined;
const completed = () => completedRun(site.api, planId);

/** The run is uploading: its first packs are in the bucket. */
async function uploading(before: number): Promise<void> {
  await until("the capture to upload", () => site.packBytes() > before || undefined);
  expect((await lastRun())?.state).toBe("running");
}

async function collected(): Promise<Collection> {
  const { id } = await site.api.startCollection({ body: { dryRun: false } });
  return until("the collection to end", async () => {
    const collection = await site.api.getCollection({ parameters: { id } });
    return collection.running ? undefined : collection;
  });
}

const check = async () => (await site.installation.json(["repo", "check", site.sourceId])) as CheckReport;

test("a first capture is uploading while a collection and a check run, and neither disturbs it", async () => {
  await uploading(0);
  const { results } = await collected();
  expect(results).toMatchObject([{ sourceId: site.sourceId, points: 0, packs: 0 }]);
  expect(results[0]?.problem).toBeUndefined();
  expect((await lastRun())?.state).toBe("running");
  expect(await check()).toMatchObject({ ok: true });
  const run = await completed();
  expect(await differenceOfRun(site, run, site.diskPath("vda"))).toBeUndefined();
});

test("a capture that builds on a point is uploading while prune, a collection and a check run", async () => {
  const first = await completed();
  const before = join(site.dir, "first");
  await copyFile(site.diskPath("vda"), before);
  await writeTestDisk(site.diskPath("vda"), DISK_BYTES, "changed");
  const stored = site.packBytes();
  await site.api.runPlan({ parameters: { id: planId } });
  await uploading(stored);
  const retention = { last: 1 };
  await site.api.pruneSource({ parameters: { id: site.sourceId }, body: { retention } });
  const { results } = await collected();
  expect(results).toMatchObject([{ living: 1, points: 0, packs: 0 }]);
  expect(results[0]?.problem).toBeUndefined();
  expect((await lastRun())?.state).toBe("running");
  expect(await check()).toMatchObject({ ok: true });
  const second = await completed();
  const pruned = await site.api.pruneSource({ parameters: { id: site.sourceId }, body: { retention } });
  expect(pruned.points.filter(({ keptBy }) => keptBy.length === 0).map(({ id }) => id)).toEqual([
    first.pointId,
  ]);
  expect((await collected()).results).toMatchObject([{ living: 2, points: 0 }]);
  expect(await differenceOfRun(site, first, before)).toBeUndefined();
  expect(await differenceOfRun(site, second, site.diskPath("vda"))).toBeUndefined();
  expect(await check()).toMatchObject({ ok: true, points: 2 });
});

async function checkedOnTarget(whole: boolean): Promise<Check> {
  const { id } = await site.api.startCheck({ parameters: { id: site.sourceId }, body: { whole } });
  return until("the check to end", async () => {
    const found = await site.api.getCheck({ parameters: { id } });
    return found.endedAt === undefined ? undefined : found;
  });
}
const verdicts = async () => {
  const { items } = (await site.installation.json(["points", site.sourceId])) as { items: RecoveryPoint[] };
  return items.map(({ checked }) => `${checked?.verdict} ${checked?.method}`);
};
const alarms = async () =>
  (await site.api.listAlarms({})).items.map(({ kind, state, subject }) => `${kind} ${state} ${subject}`);

/** Of the last recovery point: older packs may belong to a pruned point alone, which no check judges. */
function newestPack(): string {
  const packs = globSync(join(site.dir, "cloud/s3/buckets/*/sources/*/packs/*"));
  const [newest = ""] = packs.sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
  return newest;
}

test("a target host checks beside a capture; damage shows at the points and raises an alarm until it is repaired", async () => {
  await writeTestDisk(site.diskPath("vda"), DISK_BYTES, "third");
  const stored = site.packBytes();
  await site.api.runPlan({ parameters: { id: planId } });
  await uploading(stored);
  const sample = await checkedOnTarget(false);
  expect(sample).toMatchObject({ state: "completed", whole: false, targetId: site.targetId });
  expect(sample.result).toMatchObject({ problems: [] });
  expect(sample.result?.bytesRead).toBeGreaterThan(MiB);
  expect(await verdicts()).toContain("sound sample");
  await completed();

  const pack = newestPack();
  const sound = await readFile(pack);
  await writeFile(pack, Buffer.from(sound).fill(0, sound.length >> 1));
  const whole = await checkedOnTarget(true);
  expect(whole.result?.problems.join()).toContain(/packs\/[0-9a-f]{64}/.exec(pack)?.[0]);
  expect(await verdicts()).toContain("damaged whole");
  expect(await alarms()).toEqual([`repository-damaged open ${site.sourceId}`]);

  await writeFile(pack, sound);
  expect(await checkedOnTarget(false)).toMatchObject({ whole: true, result: { problems: [] } });
  expect(new Set(await verdicts())).toEqual(new Set(["sound whole", "undefined undefined"]));
  expect(await alarms()).toEqual([`repository-damaged cleared ${site.sourceId}`]);
});
