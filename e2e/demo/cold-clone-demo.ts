import { rmSync, statSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { progressLine } from "#cli/commands/conversion-progress.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { copyAsRead, isCapturing, openColdSite, startColdClone } from "../machines/cold-site.ts";
import { ended, type MachineSite, untilConversion } from "../machines/machine-site.ts";
import { bootDifferences, observe } from "../machines/observed-machine.ts";
import { firstDifference } from "../site/compare.ts";
import { type ColdCloneReport, type Firmware, stagesOf, succeeded } from "./cold-clone-report.ts";
import { type RunStep, secondsSince, stepRunner } from "./steps.ts";

const SHOW_EVERY_MS = 10_000;

/**
 * The main job once on a real machine: it clones a Debian server in QEMU by a remote cold clone. The server
 * restarts into the boot environment, its disk is read, it returns unchanged, and its clone boots. The disks
 * are kept if it fails, and if `keep` is set.
 */
export async function coldCloneDemo(options: {
  firmware: Firmware;
  keep: boolean;
}): Promise<ColdCloneReport> {
  const { firmware, keep } = options;
  const began = performance.now();
  const dir = await mkdtemp(join(tmpdir(), "causeway-demo-"));
  const facts: ColdCloneReport = {
    ok: false,
    firmware,
    bytesEqual: false,
    cloneBooted: false,
    sourceBack: false,
    bootStateEqual: false,
    seconds: 0,
    diskBytes: 0,
    bytesRead: 0,
    bytesStored: 0,
    limitingStage: "unknown",
    steps: [],
  };
  const step = stepRunner(facts.steps);
  let disks: readonly string[] = [];
  try {
    await using site = await step("bring up the control plane, a target host and the source", () =>
      openColdSite({ dir, firmware, log: (line) => console.error(`  ${line}`) }),
    );
    disks = site.disks;
    facts.diskBytes = statSync(disks[0] ?? "").size;
    await cloneAndCompare(site, facts, step);
  } catch (error) {
    facts.failure = error instanceof Error ? error.message : String(error);
  }
  facts.ok = succeeded(facts);
  facts.seconds = secondsSince(began);
  // Keep the clone, so that the user can inspect it.
  if (facts.ok && !keep) {
    for (const path of [...disks, join(dir, "as-read")]) rmSync(path, { recursive: true });
  }
  return facts;
}

async function cloneAndCompare(site: MachineSite, facts: ColdCloneReport, step: RunStep): Promise<void> {
  const before = await step("note the source's boot files and firmware variables", () => observe(site));
  console.error("demo: clone it through the boot environment");
  const { id } = await startColdClone(site, "--boot-check", "--all-blocks");
  await untilConversion(site, id, shown(isCapturing));
  // Nothing writes to the disk in the boot environment, so this copy equals what is read.
  const [asRead = ""] = await copyAsRead(site, join(site.installation.dir, "as-read"));
  facts.sourceScreenshot = join(site.installation.dir, "boot-environment.png");
  await site.machine.screenshot(facts.sourceScreenshot);
  const conversion = await untilConversion(site, id, shown(ended));
  facts.steps.push(...stagesOf(conversion));
  facts.sourceBack = conversion.whereabouts?.location === "original";
  const { result, failure } = conversion;
  if (!result) throw new Error(failure?.message ?? `the conversion is ${conversion.state}`);
  const { bytesRead, bytesStored, limitingStage, bootCheck } = result;
  Object.assign(facts, {
    bytesRead,
    bytesStored,
    limitingStage,
    cloneBooted: bootCheck?.verdict === "booted",
  });
  const clone = result.disks[0]?.path ?? "";
  facts.screenshot = join(clone, "../boot-check.png");
  facts.consoleLog = join(clone, "../boot-check.log");
  // The command fails if the receipt is invalid or reports a difference.
  const receipt = await site.installation.cli(["receipt", id]);
  const differences = await step("compare the source's boot files and firmware variables", async () =>
    bootDifferences(before, await observe(site)),
  );
  facts.bootStateEqual = receipt.code === 0 && differences.length === 0;
  if (!facts.bootStateEqual) facts.failure = `boot state: ${receipt.stderr} ${differences.join(", ")}`;
  const difference = await step("compare every byte of the clone with the disk as it was read", () =>
    firstDifference(asRead, clone),
  );
  facts.bytesEqual = difference === undefined;
  if (difference !== undefined) facts.failure = `the clone differs at byte ${difference}`;
}

/** Shows each new step of the conversion at once, its progress at intervals, and no line twice. */
function shown(reached: (conversion: Conversion) => boolean): (conversion: Conversion) => boolean {
  const stepOf = (line: string | undefined) => line?.split(" ", 1)[0];
  let last: string | undefined;
  let shownAt = 0;
  return (conversion) => {
    const line = progressLine(conversion);
    const isDue = stepOf(line) !== stepOf(last) || performance.now() - shownAt > SHOW_EVERY_MS;
    if (line && line !== last && isDue) {
      process.stderr.write(`  ${line}\n`);
      last = line;
      shownAt = performance.now();
    }
    return reached(conversion);
  };
}
