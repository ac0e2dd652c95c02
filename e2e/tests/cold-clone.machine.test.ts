/**
 * Whole remote cold clones of real machines: one for each way in which the boot environment is started, and
 * for disks that are harder to read.
 */
import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyAsRead, openColdSite, startColdClone } from "../machines/cold-site.ts";
import { buildLvmMachine } from "../machines/disk/lvm-machine.ts";
import {
  cacheDir,
  debianMachine,
  ended,
  isRunning,
  type MachineSite,
  type OriginalDisks,
  untilConversion,
} from "../machines/machine-site.ts";
import { bootDifferences, observe, unexpectedDifferences } from "../machines/observed-machine.ts";
import { systemdBootMachine } from "../machines/systemd-boot-machine.ts";
import { firstDifference } from "../site/compare.ts";
import { systemdBoot } from "../testing/debian-packages.ts";

/** Too small for the unified kernel image that `BootNext` starts, as on many machines: GRUB is armed then. */
const SMALL_ESP_BYTES = 64 * 2 ** 20;
const log = (): void => {};

interface Kind {
  name: string;
  firmware: "bios" | "uefi";
  /** `dir`: for a disk that is made for this test alone. */
  original: (dir: string) => Promise<OriginalDisks>;
  loader: string;
}

/** Which disk is `sda` can change with each start; none here are of one size. */
function inOrderOfSize(paths: readonly string[]): string[] {
  return paths.toSorted((a, b) => statSync(a).size - statSync(b).size);
}

const KINDS: Kind[] = [
  {
    name: "BIOS, which is armed by GRUB",
    firmware: "bios",
    original: () => debianMachine({ firmware: "bios", log }),
    loader: "grub",
  },
  {
    name: "UEFI, which is armed by BootNext",
    firmware: "uefi",
    original: () => debianMachine({ firmware: "uefi", log }),
    loader: "boot-next",
  },
  {
    name: "UEFI with a small EFI system partition, which is armed by GRUB",
    firmware: "uefi",
    original: () => debianMachine({ firmware: "uefi", espBytes: SMALL_ESP_BYTES, log }),
    loader: "grub",
  },
  {
    name: "BIOS with LVM over two disks and a static address",
    firmware: "bios",
    original: () => buildLvmMachine(cacheDir, log),
    loader: "grub",
  },
  {
    name: "BIOS with Debian 13, which is armed by GRUB 2.12",
    firmware: "bios",
    original: () => debianMachine({ firmware: "bios", suite: "trixie", log }),
    loader: "grub",
  },
  {
    name: "UEFI with Debian 13, which is armed by BootNext",
    firmware: "uefi",
    original: () => debianMachine({ firmware: "uefi", suite: "trixie", log }),
    loader: "boot-next",
  },
  {
    name: "UEFI with systemd-boot, which is armed by BootNext",
    firmware: "uefi",
    original: async (dir) =>
      systemdBootMachine(await debianMachine({ firmware: "uefi", log }), {
        loader: await systemdBoot("bookworm", join(dir, "packages")),
        dir: join(dir, "original"),
      }),
    loader: "boot-next",
  },
];

describe.each(KINDS)("a real Debian machine on $name", ({ firmware, original, loader }) => {
  let dir: string;
  let site: MachineSite;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "causeway-cold-"));
    site = await openColdSite({ dir, firmware, log, original: await original(dir) });
  });
  afterAll(async () => {
    await site?.[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  test("is known to come back with its agent, and without anybody at its console", async () => {
    const { inventory } = await site.installation.source();
    expect(inventory?.agentStart).toBe("at-boot");
    const unattended = { verdict: "unattended" };
    expect(inventory?.return).toMatchObject({
      ...{ bootLoader: unattended, nextStart: unattended, volumes: unattended },
    });
  });

  test("is cloned through the boot environment, comes back with its boot state as it was, and its clone boots", async () => {
    const before = await observe(site);
    const { id } = await startColdClone(site, "--boot-check", "--all-blocks");
    await untilConversion(site, id, isRunning("capture"));
    // Nothing writes to the disks in the boot environment: this is what is read.
    const asRead = await copyAsRead(site, join(dir, "as-read"));
    await site.machine.screenshot(join(dir, "boot-environment.png"));
    const conversion = await untilConversion(site, id, ended);
    expect(conversion.failure).toBeUndefined();
    expect(conversion).toMatchObject({
      state: "completed",
      whereabouts: { location: "original", bootState: "confirmed" },
      result: { bootCheck: { verdict: "booted" } },
    });
    const clones = inOrderOfSize(conversion.result?.disks.map(({ path }) => path) ?? []);
    expect(clones).toHaveLength(asRead.length);
    for (const [index, copy] of inOrderOfSize(asRead).entries())
      expect(await firstDifference(copy, clones[index] ?? "")).toBeUndefined();
    const { receipt } = await site.installation.api.getConversionReceipt({ parameters: { id } });
    expect(receipt.content).toMatchObject({ outcome: "equal", loader });
    const after = await observe(site);
    expect(bootDifferences(before, after)).toEqual([]);
    expect(unexpectedDifferences(before, after)).toEqual([]);
  });
});
