/**
 * A plan of a disk in use, under load, while the object store is slow, fails for a while, or refuses: no
 * change is lost, no point is half there, and no program waits longer for its writes than a freeze may last.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Random } from "#agent/filesystems/testing/layouts/random.ts";
import { whyUntestable } from "#agent/tracking/testing/tracked-disk.ts";
import { AwsError } from "#local/core/aws-error.ts";
import type { FaultOutcome, Faults } from "#local/s3/s3-service.ts";
import type { Run } from "#shared/protocol/protection.ts";
import { faultyCloud } from "../testing/faulty-cloud.ts";
import { ProtectedSite } from "../testing/protected-site.ts";

const SLOW_MS = 500;
const OUTAGE_MS = 12_000;
/** The agent itself tries again for about two minutes. */
const LONG_OUTAGE_MS = 150_000;
const reason = whyUntestable();

const answer = (code: string, status: number) => (): FaultOutcome => {
  throw new AwsError(code, "Not now.", status);
};

describe.skipIf(reason !== undefined)("a plan of a disk in use", () => {
  let before: Faults["before"] | undefined;
  let started: ProtectedSite;

  beforeAll(async () => {
    const start = faultyCloud({ s3: { before: async (request) => before?.(request) } });
    started = await ProtectedSite.start(new Random(41), { start });
  });
  afterEach(() => {
    before = undefined;
  });
  afterAll(() => started?.[Symbol.asyncDispose]());

  /** A run during which the store behaves like this until the run ends. */
  async function runWith(faulty: Faults["before"]): Promise<Run> {
    before = faulty;
    const { run, faults } = await started.run(async (ending) => {
      await ending;
      before = undefined;
    });
    expect(faults).toBe("");
    return run;
  }

  /** From its first request on, the store fails for this long. */
  async function outage(fault: () => FaultOutcome, lastsMs: number): Promise<{ run: Run; log: string }> {
    const logPath = join(started.site.dir, "source.log");
    const logged = readFileSync(logPath, "utf8").length;
    let since: number | undefined;
    const run = await runWith(async () => {
      since ??= Date.now();
      return Date.now() - since < lastsMs ? fault() : undefined;
    });
    return { run, log: readFileSync(logPath, "utf8").slice(logged) };
  }

  async function requireTracked(): Promise<void> {
    const run = await runWith(async () => undefined);
    expect(run).toMatchObject({
      state: "completed",
      result: { disks: [{ mode: "tracked", consistency: "file-system", trackerDisagreements: 0 }] },
    });
  }

  test("completes its run although each request to the store is slow", async () => {
    const run = await runWith(() => sleep(SLOW_MS));
    expect(run).toMatchObject({ state: "completed", result: { disks: [{ mode: "tracked" }] } });
    await requireTracked();
  });

  test.each<[string, () => FaultOutcome]>([
    ["is busy", answer("SlowDown", 503)],
    ["fails", answer("InternalError", 500)],
    ["is full", answer("XMinioStorageFull", 507)],
    ["resets connections", () => "reset"],
    ["loses its answers", () => "lose-answer"],
  ])(
    "completes the same run after some seconds in which the store %s, and says so meanwhile",
    async (_, fault) => {
      const { run, log } = await outage(fault, OUTAGE_MS);
      expect(run).toMatchObject({ state: "completed", result: { disks: [{ mode: "tracked" }] } });
      expect(log).toContain("the object store does not answer as it should; trying again");
      await requireTracked();
    },
  );

  test("completes the same run after an outage that is longer than the agent's patience", async () => {
    const { run, log } = await outage(answer("ServiceUnavailable", 503), LONG_OUTAGE_MS);
    expect(run).toMatchObject({ state: "completed", result: { disks: [{ mode: "tracked" }] } });
    expect(log).toContain('"command failed"');
    await requireTracked();
  });

  test.each([
    ["AccessDenied", "credentials"],
    ["QuotaExceeded", "quota is used up"],
  ])(
    "ends its run with the store's own words if that answers %s, and the next one has every change",
    async (code, hint) => {
      const run = await runWith(async ({ operation, key }) =>
        operation === "PutObject" && key.includes("/packs/") ? answer(code, 403)() : undefined,
      );
      expect(run).toMatchObject({
        state: "failed",
        failure: {
          name: "StoreRefusedError",
          message: expect.stringContaining(`403 ${code} Not now.`),
          hint: expect.stringContaining(hint),
        },
      });
      await requireTracked();
    },
  );

  test("leaves a repository in which nothing is missing", async () => {
    expect(await started.faultsOfRepository()).toBe("");
    expect(started.compared).toBeGreaterThan(10);
  });
});
