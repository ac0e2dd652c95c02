/**
 * Real machines and boot images that are wrong, boot environments that fail, and a control plane that dies:
 * the original system comes back by itself.
 */
import { mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Conversion } from "#shared/protocol/resources.ts";
import {
  cachedBootImage,
  copyAsRead,
  isCapturing,
  keyDir,
  openColdSite,
  publicKeyIn,
  startColdClone,
  uploadBootImage,
} from "../machines/cold-site.ts";
import { ended, type MachineSite, untilConversion } from "../machines/machine-site.ts";
import { bootDifferences, type ObservedMachine, observe } from "../machines/observed-machine.ts";
import { firstDifference } from "../site/compare.ts";
import { changedBootImage } from "../testing/changed-boot-image.ts";

const log = (): void => {};
const ORIGINAL_SYSTEM = /debian-source login:/;
const NO_NETWORK = /The network of this computer could not be brought up/;
/** Long enough for connections to time out. */
const NETWORK_AWAY_MS = 90_000;
const MARK = { kind: "file", path: "etc/mark", mode: 0o644, data: Buffer.from("another image") } as const;
/** The kernel panics because the first program ends. */
const PANIC = {
  kind: "file",
  path: "init",
  mode: 0o755,
  data: Buffer.from("#!/bin/sh\nexit 1\n"),
} as const;

describe.each(["bios", "uefi"] as const)("a real machine on %s", (firmware) => {
  let dir: string;
  let image: string;
  let site: MachineSite;
  let before: ObservedMachine;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "causeway-faults-"));
    image = await cachedBootImage(log);
    site = await openColdSite({ dir, firmware, log });
    before = await observe(site);
  });
  afterAll(async () => {
    await site?.[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  async function expectRefusal({ id }: Conversion, failure: object): Promise<void> {
    const conversion = await untilConversion(site, id, ended);
    expect(conversion).toMatchObject({
      state: "failed",
      failure,
      whereabouts: { location: "original", bootState: "untouched" },
    });
    expect(bootDifferences(before, await observe(site))).toEqual([]);
  }

  async function expectReturn({ id }: Conversion): Promise<void> {
    const conversion = await untilConversion(site, id, ended);
    expect(conversion).toMatchObject({
      state: "failed",
      failure: { name: "BootEnvironmentSilentError" },
      whereabouts: { location: "original", bootState: "confirmed" },
    });
    const { receipt } = await site.installation.api.getConversionReceipt({ parameters: { id } });
    expect(receipt.content.outcome).toBe("equal");
    expect(bootDifferences(before, await observe(site))).toEqual([]);
  }

  async function expectClone({ id }: Conversion, asRead: string): Promise<void> {
    const conversion = await untilConversion(site, id, ended);
    expect(conversion).toMatchObject({
      state: "completed",
      whereabouts: { location: "original", bootState: "confirmed" },
    });
    expect(await firstDifference(asRead, conversion.result?.disks[0]?.path ?? "")).toBeUndefined();
    expect(bootDifferences(before, await observe(site))).toEqual([]);
  }

  test("refuses a boot image that is not what its manifest says, before anything is armed", async () => {
    const name = firmware === "uefi" ? "causeway.efi" : "vmlinuz";
    const stored = await findBySize(join(dir, "cloud/s3"), (await stat(join(image, name))).size);
    const repair = await flipByte(stored);
    await expectRefusal(await startColdClone(site), { name: "BootImageInvalidError" });
    await repair();
  });

  test("refuses a boot image that is signed with another key, before anything is armed", async () => {
    const others = join(dir, "other-key");
    const foreign = await changedBootImage(image, dir, others, [MARK]);
    await uploadBootImage(site.installation, foreign.dir, publicKeyIn(others));
    const conversion = await startColdClone(site, "--boot-image", foreign.id);
    await expectRefusal(conversion, {
      name: "PreflightFailedError",
      details: { rules: [{ id: "boot-image-trusted" }] },
    });
  });

  test("comes back by itself from a boot environment that panics", async () => {
    const panicking = await changedBootImage(image, dir, keyDir, [PANIC]);
    await uploadBootImage(site.installation, panicking.dir);
    const from = site.machine.console.length;
    const conversion = await startColdClone(site, "--boot-image", panicking.id);
    const panicked = await site.machine.waitFor(/Kernel panic/, from, 900_000);
    await site.machine.waitFor(ORIGINAL_SYSTEM, panicked);
    await expectReturn(conversion);
  });

  test("comes back by itself from a boot environment that finds no network", async () => {
    const from = site.machine.console.length;
    const { id: imageId } = await newestOwn();
    const conversion = await startColdClone(site, "--boot-image", imageId);
    await site.machine.waitFor(/Causeway boot environment: starting/, from, 900_000);
    await site.machine.setNetwork(false);
    const gaveUp = await site.machine.waitFor(NO_NETWORK, from);
    await site.machine.setNetwork(true);
    await site.machine.waitFor(ORIGINAL_SYSTEM, gaveUp);
    await expectReturn(conversion);
  });

  test("is cloned although its network is away for a while in the middle of the capture", async () => {
    const { id: imageId } = await newestOwn();
    const conversion = await startColdClone(site, "--boot-image", imageId, "--all-blocks");
    await untilConversion(site, conversion.id, isCapturing);
    await site.machine.setNetwork(false);
    const [asRead = ""] = await copyAsRead(site, join(dir, "as-read-without-network"));
    await sleep(NETWORK_AWAY_MS);
    await site.machine.setNetwork(true);
    await expectClone(conversion, asRead);
  });

  test("is cloned although the control plane is killed in the middle of the capture", async () => {
    const { id: imageId } = await newestOwn();
    const conversion = await startColdClone(site, "--boot-image", imageId, "--all-blocks");
    await untilConversion(site, conversion.id, isCapturing);
    await site.installation.kill("cloud");
    const [asRead = ""] = await copyAsRead(site, join(dir, "as-read"));
    await site.installation.up();
    await expectClone(conversion, asRead);
  });

  /** The image that the site was opened with: the tests upload newer ones. */
  async function newestOwn(): Promise<{ id: string }> {
    const { items } = await site.installation.api.listBootImages({});
    const own = items.find(({ id }) => image.endsWith(id));
    if (!own) throw new Error("the boot image is gone");
    return own;
  }
});

/** The only file of this size below a folder. */
async function findBySize(folder: string, sizeBytes: number): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    if ((await stat(path)).size === sizeBytes) return path;
  }
  throw new Error(`nothing in ${folder} has ${sizeBytes} bytes`);
}

/** Changes one byte in the middle of a file. Returns a function that restores it. */
async function flipByte(path: string): Promise<() => Promise<void>> {
  const flip = async () => {
    await using file = await open(path, "r+");
    const at = Math.floor((await file.stat()).size / 2);
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, at);
  };
  await flip();
  return flip;
}
