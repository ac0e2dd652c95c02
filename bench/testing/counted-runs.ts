/** Protection runs of a real agent on the embedded cloud, which counts what AWS would charge for. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { currentAssembly } from "#cli/assembly.ts";
import { version } from "#cli/version.ts";
import { type Cloud, startCloud } from "#local/cloud.ts";
import { systemClock } from "#local/core/clock.ts";
import type { Usage } from "#local/core/usage.ts";
import { changeTestDisk } from "../../e2e/testing/disk-content.ts";
import { Site } from "../../e2e/testing/site.ts";
import type { Counts } from "../monthly-cost.ts";

export interface CountedRuns {
  runs: number;
  perRun: Counts;
  metrics: number;
  /** Alarms in CloudWatch that the templates declare. */
  alarms: number;
}

const MIB = 2 ** 20;
const DISK_BYTES = 64 * MIB;
/** Each run finds these places changed: 2.4 % of the disk's blocks of 64 KiB. */
const CHANGED_PLACES = 24;
const QUIET_MS = 4000;

/**
 * Counts `runs` runs that the scheduler begins every minute, with the minutes between them. Nothing else
 * asks the control plane anything, and the first run, which copies everything, does not count.
 */
export async function countRuns(runs: number): Promise<CountedRuns> {
  let cloud: Cloud | undefined;
  const start = async (dataDir: string) => {
    const assemblyDir = await currentAssembly(() => {});
    const opened = await startCloud({
      ...{ assemblyDir, dataDir, clock: systemClock, program: { name: "the bench", version } },
    });
    cloud = opened;
    const token = await opened.issueToken({
      userPoolId: opened.output("CausewayApi", "UserPoolId"),
      clientId: opened.output("CausewayApi", "UserPoolClientId"),
      username: "ada",
      lifetimeSeconds: 3600,
    });
    return { url: opened.url, token, close: () => opened.close() };
  };
  await using site = await Site.start({ disks: { vda: DISK_BYTES }, start });
  if (!cloud) throw new Error("the site has no cloud");
  const body = { sourceId: site.sourceId, intervalSeconds: 60, retention: { last: 3 } };
  await site.api.createPlan({ body });
  const points = () => globSync("cloud/s3/buckets/*/sources/*/points/*", { cwd: site.dir }).length;
  await pointsMade(points, 1);
  const before = await quiet(cloud);
  const first = points();
  for (let run = 1; run <= runs; run++) {
    for (let place = 0; place < CHANGED_PLACES; place++) {
      const offset = Math.floor(((place + run / (runs + 1)) / CHANGED_PLACES) * (DISK_BYTES - MIB));
      await changeTestDisk(join(site.dir, "vda.img"), offset, `${run} ${place}`);
    }
    await pointsMade(points, first + run);
    await quiet(cloud);
  }
  const after = await quiet(cloud);
  return {
    runs,
    perRun: perRun(before, after, runs),
    metrics: after.metrics,
    alarms: await declaredAlarms(),
  };
}

async function declaredAlarms(): Promise<number> {
  const assemblyDir = await currentAssembly(() => {});
  const templates = globSync("*.template.json", { cwd: assemblyDir });
  const types = templates.flatMap((name) => {
    const { Resources } = JSON.parse(readFileSync(join(assemblyDir, name), "utf8"));
    return Object.values(Resources as Record<string, { Type: string }>).map(({ Type }) => Type);
  });
  if (types.length === 0) throw new Error(`${assemblyDir} has no templates`);
  return types.filter((type) => type === "AWS::CloudWatch::Alarm").length;
}

async function pointsMade(points: () => number, wanted: number): Promise<void> {
  const until = Date.now() + 5 * 60_000;
  while (points() < wanted) {
    if (Date.now() > until) throw new Error(`there are ${points()} points, not ${wanted}`);
    await sleep(200);
  }
}

/** The counts once no function has been invoked for some seconds: then the run has ended. */
async function quiet(cloud: Cloud): Promise<Usage> {
  for (let before = cloud.usage(); ; ) {
    await sleep(QUIET_MS);
    const usage = cloud.usage();
    if (usage.lambdaInvocations === before.lambdaInvocations) return usage;
    before = usage;
  }
}

function perRun(before: Usage, after: Usage, runs: number): Counts {
  const { metrics: _, ...counts } = after;
  const names = Object.keys(counts) as (keyof Counts)[];
  return Object.fromEntries(names.map((name) => [name, (after[name] - before[name]) / runs])) as Counts;
}
