/**
 * The main job, once, on real input: a bootable Debian disk is converted by a source agent, the embedded cloud and a target agent; every byte
 * is compared; the result boots. `npm run demo -- [--firmware bios|uefi] [--json FILE]`.
 */
import { rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bytes, duration } from "#cli/units.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { firstDifference } from "./compare.ts";
import { copyDisk } from "./disk/copy-disk.ts";
import { buildDebianDisk } from "./disk/debian-disk.ts";
import { Installation } from "./installation.ts";

const DISK_BYTES = 2 * 1024 ** 3;

export interface DemoReport {
  ok: boolean;
  bytesEqual: boolean;
  cloneBooted: boolean;
  firmware: "bios" | "uefi";
  seconds: number;
  diskBytes: number;
  bytesRead: number;
  bytesStored: number;
  limitingStage: string;
  steps: { name: string; seconds: number }[];
  screenshot?: string;
  consoleLog?: string;
  failure?: string;
}

const { values } = parseArgs({
  options: {
    firmware: { type: "string", default: "bios" },
    json: { type: "string" },
    keep: { type: "boolean" },
  },
});
if (values.firmware !== "bios" && values.firmware !== "uefi") {
  console.error("--firmware must be bios or uefi");
  process.exit(2);
}
const report = await demo(values.firmware);
if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
tell(report);
process.exitCode = report.ok ? 0 : 1;

async function demo(firmware: "bios" | "uefi"): Promise<DemoReport> {
  const began = performance.now();
  const steps: DemoReport["steps"] = [];
  const step = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    console.error(`demo: ${name}`);
    const start = performance.now();
    try {
      return await run();
    } finally {
      steps.push({ name, seconds: secondsSince(start) });
    }
  };
  const dir = await mkdtemp(join(tmpdir(), "causeway-demo-"));
  const installation = new Installation(dir);
  const facts: Partial<DemoReport> = {};
  try {
    const original = await step("build a bootable Debian disk (cached)", () =>
      buildDebianDisk({
        firmware,
        sizeBytes: DISK_BYTES,
        cacheDir: join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "causeway"),
        log: (line) => console.error(`  ${line}`),
      }),
    );
    // A disk of its own, as a source server would have: the cache is never handed to an agent.
    const sourceDisk = join(dir, "source.raw");
    await step("copy it as the source server's disk", () => copyDisk(original.path, sourceDisk));
    await step("start the embedded cloud", () => installation.up());
    const { sourceId, targetId } = await step("enrol a source agent and a target agent", async () => {
      await installation.enrol("source", "source", ["--disk", `sda=${sourceDisk}`]);
      await installation.enrol("target", "target", ["--images", join(dir, "images")]);
      return { sourceId: (await installation.source()).id, targetId: (await installation.target()).id };
    });
    const conversion = await step("convert: capture, commit, materialise, verify, boot", async () => {
      const words = [
        "convert",
        sourceId,
        "--type",
        "hot",
        "--target",
        targetId,
        "--format",
        "raw",
        "--boot-check",
        "--wait",
      ];
      return (await installation.json(words, (text) => process.stderr.write(`  ${text}`))) as Conversion;
    });
    Object.assign(facts, factsOf(conversion));
    for (const { name, startedAt, endedAt } of conversion.steps) {
      if (!startedAt || !endedAt) continue;
      steps.push({
        name: `  of which ${name}`,
        seconds: (Date.parse(endedAt) - Date.parse(startedAt)) / 1000,
      });
    }
    const clone = conversion.result?.disks[0]?.path ?? "";
    const difference = await step("compare every byte of source and clone", () =>
      firstDifference(sourceDisk, clone),
    );
    facts.bytesEqual = difference === undefined;
    if (difference !== undefined) facts.failure = `the clone differs from the source at byte ${difference}`;
    facts.screenshot = join(clone, "../boot-check.png");
    facts.consoleLog = join(clone, "../boot-check.log");
  } catch (error) {
    facts.failure = error instanceof Error ? error.message : String(error);
  } finally {
    await installation.stop();
  }
  const done = facts.bytesEqual === true && facts.cloneBooted === true;
  if (!values.keep && done) rmSync(join(dir, "source.raw"));
  return {
    ok: done,
    bytesEqual: false,
    cloneBooted: false,
    firmware,
    diskBytes: DISK_BYTES,
    bytesRead: 0,
    bytesStored: 0,
    limitingStage: "unknown",
    ...facts,
    seconds: secondsSince(began),
    steps,
  };
}

/** What the conversion itself reported. */
function factsOf({ result }: Conversion): Partial<DemoReport> {
  if (!result) return { failure: "the conversion has no result" };
  return {
    bytesRead: result.bytesRead,
    bytesStored: result.bytesStored,
    limitingStage: result.limitingStage,
    cloneBooted: result.bootCheck?.verdict === "booted",
  };
}

function tell(report: DemoReport): void {
  console.log(
    `\nCauseway demo (${report.firmware}): ${report.ok ? "the clone is right and boots" : `FAILED: ${report.failure ?? "see above"}`}`,
  );
  for (const { name, seconds } of report.steps) console.log(`  ${duration(seconds).padStart(12)}  ${name}`);
  console.log(`  ${duration(report.seconds).padStart(12)}  in all`);
  console.log(
    `  disk ${bytes(report.diskBytes)}, read ${bytes(report.bytesRead)}, stored ${bytes(report.bytesStored)}, limited by ${report.limitingStage}`,
  );
  console.log(
    `  every byte equal: ${report.bytesEqual ? "yes" : "no"}; clone booted: ${report.cloneBooted ? "yes" : "no"}`,
  );
  if (report.screenshot)
    console.log(`  screenshot: ${report.screenshot}\n  console:    ${report.consoleLog ?? ""}`);
}

function secondsSince(start: number): number {
  return Math.round((performance.now() - start) / 10) / 100;
}
