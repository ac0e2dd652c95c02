/** Protection while the object store is full: the embedded cloud's folder is on a small file system. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTestDisk } from "../testing/disk-content.ts";
import { faultyCloud } from "../testing/faulty-cloud.ts";
import { completedRun, differenceOfRun } from "../testing/plan-runs.ts";
import { Site } from "../testing/site.ts";
import { Tmpfs } from "../testing/storage.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;
const DISK_BYTES = 24 * MiB;
/** Less than a pack; the control plane's own records need some of it. */
const LEFT_BYTES = 3 * MiB;

/** Each attempt to store a pack. */
const uploads: string[] = [];
let room: Tmpfs;
let site: Site;
let planId: string;

beforeAll(async () => {
  site = await Site.start({
    disks: { vda: DISK_BYTES },
    start: async (dir) => {
      room = Tmpfs.mount(dir, 256 * MiB);
      const before = async ({ operation, key }: { operation: string; key: string }) => {
        if (operation === "PutObject" && key.includes("/packs/")) uploads.push(key);
        return undefined;
      };
      const cloud = await faultyCloud({ s3: { before } })(dir);
      const close = async () => {
        await cloud.close();
        room.unmount();
      };
      return { ...cloud, close };
    },
  });
  const body = { sourceId: site.sourceId, intervalSeconds: 30 * 86_400, retention: { last: 50 } };
  planId = (await site.api.createPlan({ body })).id;
});
afterAll(() => site?.[Symbol.asyncDispose]());

test("a run that finds the store full makes no point, and makes a right one once there is room", async () => {
  const first = await completedRun(site.api, planId);
  const before = join(site.dir, "before");
  await writeTestDisk(before, DISK_BYTES, "vda");
  const filler = join(room.path, "filler");
  await writeFile(filler, Buffer.alloc(room.freeBytes() - LEFT_BYTES, 1));
  await writeTestDisk(site.diskPath("vda"), DISK_BYTES, "changed");
  const { id } = await site.api.runPlan({ parameters: { id: planId } });
  const isRepeated = () => new Set(uploads).size < uploads.length;
  await until("the source to try again", () => isRepeated() || undefined);
  expect((await site.api.getPlan({ parameters: { id: planId } })).lastRun).toMatchObject({
    id,
    state: "running",
  });
  const listed = { parameters: { id: site.sourceId }, query: { limit: 200 } };
  expect((await site.api.listRecoveryPoints(listed)).items.map((point) => point.id)).toEqual([first.pointId]);
  await rm(filler);
  const second = await completedRun(site.api, planId, (run) => run.id === id);
  expect(await differenceOfRun(site, second, site.diskPath("vda"))).toBeUndefined();
  expect(await differenceOfRun(site, first, before)).toBeUndefined();
  expect(await site.installation.json(["repo", "check", site.sourceId])).toMatchObject({ ok: true });
});
