/**
 * Real machines whose power fails at every step of a cold clone: the next start always ends in the original
 * system, with its boot state as it was.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Conversion } from "#shared/protocol/resources.ts";
import { isCapturing, openColdSite, startColdClone } from "../machines/cold-site.ts";
import { debianMachine, ended, isDone, type MachineSite, untilConversion } from "../machines/machine-site.ts";
import { bootDifferences, type ObservedMachine, observe } from "../machines/observed-machine.ts";

const log = (): void => {};
const BOOT_ENVIRONMENT = /Causeway boot environment: starting/;
const ORIGINAL_SYSTEM = /debian-source login:/;
/** Long enough to stage the image and to start once more before. */
const WAIT_FOR_TIME_MS = 180_000;

const MACHINES = [
  { firmware: "bios", suite: "bookworm" },
  { firmware: "uefi", suite: "bookworm" },
  { firmware: "bios", suite: "trixie" },
  { firmware: "uefi", suite: "trixie" },
] as const;

describe.each(MACHINES)("on $suite with $firmware, after a power cut", ({ firmware, suite }) => {
  let dir: string;
  let site: MachineSite;
  let before: ObservedMachine;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "causeway-cut-"));
    const original = await debianMachine({ firmware, suite, log });
    site = await openColdSite({ dir, firmware, original, log });
    before = await observe(site);
  });
  afterAll(async () => {
    await site?.[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  /** Cuts the power and switches the machine on again; returns where its console begins. */
  async function cutPower(): Promise<number> {
    await site.machine.cutPower();
    const from = site.machine.console.length;
    await site.machine.powerOn();
    return from;
  }

  async function expectAsBefore({ id }: Conversion): Promise<void> {
    const { receipt } = await site.installation.api.getConversionReceipt({ parameters: { id } });
    expect(receipt.content.outcome).toBe("equal");
    expect(bootDifferences(before, await observe(site))).toEqual([]);
  }

  async function expectFailure({ id }: Conversion, name: string): Promise<void> {
    const conversion = await untilConversion(site, id, ended);
    expect(conversion).toMatchObject({
      state: "failed",
      failure: { name },
      whereabouts: { location: "original", bootState: "confirmed" },
    });
    await expectAsBefore(conversion);
  }

  async function expectCompletion({ id }: Conversion): Promise<void> {
    const conversion = await untilConversion(site, id, ended);
    expect(conversion.failure).toBeUndefined();
    expect(conversion).toMatchObject({
      state: "completed",
      whereabouts: { location: "original", bootState: "confirmed" },
    });
    await expectAsBefore(conversion);
  }

  test("after the staging, the conversion continues at its start time; after the arming, the boot environment starts once and completes it", async () => {
    const at = new Date(Date.now() + WAIT_FOR_TIME_MS).toISOString();
    const conversion = await startColdClone(site, "--at", at);
    await untilConversion(site, conversion.id, isDone("stage"));
    const staged = await cutPower();
    await site.machine.waitFor(ORIGINAL_SYSTEM, staged);
    expect(site.machine.console.slice(staged)).not.toMatch(BOOT_ENVIRONMENT);
    await untilConversion(site, conversion.id, isDone("arm"));
    const armed = await cutPower();
    await site.machine.waitFor(BOOT_ENVIRONMENT, armed);
    await expectCompletion(conversion);
    expect(site.machine.console.slice(armed).split(BOOT_ENVIRONMENT)).toHaveLength(2);
  });

  test("when the boot environment has just started, the original system starts and the conversion fails", async () => {
    const conversion = await startColdClone(site);
    const started = await site.machine.waitFor(BOOT_ENVIRONMENT, site.machine.console.length, 900_000);
    expect(started).toBeGreaterThan(0);
    const cut = await cutPower();
    await site.machine.waitFor(ORIGINAL_SYSTEM, cut);
    expect(site.machine.console.slice(cut)).not.toMatch(BOOT_ENVIRONMENT);
    await expectFailure(conversion, "BootEnvironmentSilentError");
  });

  test("in the middle of the capture, the original system starts and the conversion fails", async () => {
    const conversion = await startColdClone(site);
    await untilConversion(site, conversion.id, isCapturing);
    const cut = await cutPower();
    await site.machine.waitFor(ORIGINAL_SYSTEM, cut);
    expect(site.machine.console.slice(cut)).not.toMatch(BOOT_ENVIRONMENT);
    await expectFailure(conversion, "BootEnvironmentLeftError");
  });

  test("before the last restart, the original system starts and the conversion completes", async () => {
    const conversion = await startColdClone(site);
    await untilConversion(site, conversion.id, isDone("commit"));
    const cut = await cutPower();
    await site.machine.waitFor(ORIGINAL_SYSTEM, cut);
    expect(site.machine.console.slice(cut)).not.toMatch(BOOT_ENVIRONMENT);
    await expectCompletion(conversion);
  });
});
