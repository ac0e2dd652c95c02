import { expect, test } from "vitest";
import * as z from "zod";
import { jsonLog } from "#shared/log.ts";
import { capture, finish, fire, planId, protect, runs, world } from "../testing/protected-source.ts";
import { abandonRun } from "./abandon-run.ts";

/**
 * The rules of the embedded metric format: CloudWatch ignores a metric, without a word, if one is broken.
 * Names have up to 1024 characters, and members of the root that are named exist with the right type.
 */
const Name = z.string().min(1).max(1024);
const Embedded = z
  .looseObject({
    _aws: z.strictObject({
      Timestamp: z.int().nonnegative(),
      CloudWatchMetrics: z
        .array(
          z.strictObject({
            Namespace: z.string().min(1).max(1024),
            Dimensions: z.array(z.array(Name).min(1).max(30)).min(1),
            Metrics: z
              .array(z.strictObject({ Name, Unit: z.enum(["Seconds"]) }))
              .min(1)
              .max(100),
          }),
        )
        .min(1),
    }),
  })
  .refine((line) =>
    line._aws.CloudWatchMetrics.every(
      ({ Dimensions, Metrics }) =>
        Dimensions.flat().every((name) => Name.safeParse(line[name]).success) &&
        Metrics.every((one) => Number.isFinite(line[one.Name])),
    ),
  );

/** The lines that say that a run has ended, as the function writes them. */
function lines(): Record<string, unknown>[] {
  const written: string[] = [];
  const log = jsonLog({ write: (line) => written.push(line), now: () => world.nowMs });
  for (const { message, fields } of world.logged) if (message === "run ended") log.info(message, fields);
  expect(written.every((line) => line.indexOf("\n") === line.length - 1)).toBe(true);
  return written.map((line) => JSON.parse(line) as Record<string, unknown>);
}

const lastRun = async () => (await runs()).at(-1) ?? expect.unreachable();

test("a run without an earlier point has no lag, and no metric", async () => {
  await protect();
  await fire();
  await finish((await lastRun()).id);
  expect(lines()).toMatchObject([{ planId, state: "completed", bytesRead: 64, limitingStage: "read" }]);
  expect(lines()[0]).not.toHaveProperty("_aws");
});

test("each later run has one line with the lag that its point ended, by the rules of the metric format", async () => {
  await protect();
  await fire();
  await finish((await lastRun()).id);
  await fire();
  const { id } = await lastRun();
  world.nowMs += 120_000;
  for (const _ of [1, 2]) await finish(id);
  const [, line, ...more] = lines();
  expect(more).toEqual([]);
  expect(Embedded.parse(line)).toMatchObject({
    ...{ message: "run ended", planId, runId: id, lagSeconds: 3720, intervalSeconds: 3600 },
    disks: [{ name: "vda", mode: "hash-scan", consistency: "crash" }],
    action: expect.stringMatching(/\.$/),
  });
});

test("the line and the run say why hooks did not make the point application consistent", async () => {
  await protect();
  await fire();
  const failed = {
    hook: "db",
    phase: "before",
    outcome: "failed",
    seconds: 1,
    reason: "it ended with status 1",
  };
  const { id } = await lastRun();
  await capture(id);
  await finish(id, { freeze: { hooks: { scripts: [failed] } } });
  const why = "the hook db did not succeed before the freeze: it ended with status 1";
  expect(lines()).toMatchObject([{ hookShortfall: why }]);
  expect((await lastRun()).result?.hooks).toEqual({ scripts: [failed] });
});

test("failed and skipped runs have the lag that keeps growing", async () => {
  await protect();
  await fire();
  await finish((await lastRun()).id);
  await fire();
  const { id } = await lastRun();
  await fire();
  for (const _ of [1, 2]) await abandonRun(id, { Error: "DiskReadFailedError", Cause: "" }, world);
  const [, skipped, failed, ...more] = lines();
  expect(more).toEqual([]);
  expect(Embedded.parse(skipped)).toMatchObject({ state: "skipped", lagSeconds: 7200 });
  expect(Embedded.parse(failed)).toMatchObject({ state: "failed", lagSeconds: 7200 });
});
