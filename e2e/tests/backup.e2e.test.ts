import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { firstDifference } from "../site/compare.ts";
import { storedBytesOf } from "../testing/disk-content.ts";
import { Site } from "../testing/site.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;
const DISKS = { before: 64 * MiB, during: 192 * MiB };
let site: Site;

beforeAll(async () => {
  site = await Site.start({ disks: DISKS });
});
afterAll(() => site?.[Symbol.asyncDispose]());

test("a control plane that was lost continues from its backup, taken in the middle of a capture", async () => {
  const { installation, dir } = site;
  const done = await site.convert("before");
  const pointId = (await site.ended(done)).recoveryPointId ?? "";

  const stored = site.packBytes();
  const capturing = await site.convert("during", { bandwidthLimitBytesPerSecond: 24 * MiB });
  const some = storedBytesOf(DISKS.during) / 4;
  await until("some of the capture", () => site.packBytes() - stored > some || undefined);
  const backup = { data: join(dir, "backup"), keys: join(dir, "backup-keys") };
  await installation.json([
    "backup",
    ...["--data", join(dir, "cloud"), "--to", backup.data, "--keys", backup.keys],
  ]);
  expect((await site.ended(capturing)).state).toBe("completed");

  await site.kill("cloud", "source", "target");
  await rename(join(dir, "cloud"), join(dir, "cloud-lost"));
  await rename(backup.data, join(dir, "cloud"));
  await cp(backup.keys, join(dir, "cloud"), { recursive: true });
  await site.restart("cloud", "source", "target");

  // What ran at that instant is not known to have a whole bucket beneath it.
  await site.api.cancelConversion({ parameters: { id: capturing } });
  await site.ended(capturing);
  expect(await installation.json(["repo", "check", site.sourceId])).toMatchObject({ ok: true, points: 1 });
  const restored = join(dir, "restored.raw");
  await installation.json(["restore", pointId, "--disk", "before", "--to", restored]);
  expect(await firstDifference(site.diskPath("before"), restored)).toBeUndefined();
  await rm(restored);
  const again = await site.convert("during");
  expect((await site.ended(again)).state).toBe("completed");
  expect(await site.difference(again, "during")).toBeUndefined();
});
