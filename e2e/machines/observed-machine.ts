/**
 * The parts of a machine's disks that must not change in a cold clone, read from outside without Causeway's
 * own code.
 */
import { hash } from "node:crypto";
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { copyAsRead } from "./cold-site.ts";
import { type Contents, differencesOf, ext4Contents, fatContents, withoutTime } from "./disk/contents.ts";
import { bootVariablesIn } from "./disk/uefi-variables.ts";
import type { MachineSite } from "./machine-site.ts";

export interface ObservedMachine {
  /** Every file of every file system. */
  files: Contents;
  /**
   * Hashes of the bytes outside file systems: boot sector, partition tables, BIOS boot partition and volume
   * groups' metadata.
   */
  outside: Contents;
  /** The firmware's boot entries and their order; empty on BIOS. */
  bootVariables: Record<string, string>;
}

/** Reads the machine as a power cut at this moment would leave it. The machine is paused meanwhile. */
export async function observe(site: MachineSite): Promise<ObservedMachine> {
  const folder = join(site.installation.dir, "observed");
  const copies = await copyAsRead(site, folder);
  try {
    const files: Contents = {};
    for (const { disk, offsetBytes, type, mountPoint } of site.fileSystems) {
      const read = type === "ext4" ? ext4Contents : fatContents;
      Object.assign(files, await read(copies[disk] ?? "", offsetBytes, mountPoint, folder));
    }
    const outside: Contents = {};
    for (const [disk, copy] of copies.entries()) {
      const offsets = site.fileSystems.filter((each) => each.disk === disk).map((each) => each.offsetBytes);
      Object.assign(outside, await outsideOf(copy, `disk ${disk}`, Math.min(...offsets)));
    }
    const { flashPath } = site.machine;
    return { files, outside, bootVariables: flashPath ? bootVariablesIn(await readFile(flashPath)) : {} };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A GPT's copy at the end of the disk: its header and the sectors of its entries. */
const GPT_COPY_BYTES = 33 * 512;

async function outsideOf(image: string, name: string, firstFileSystemBytes: number): Promise<Contents> {
  await using file = await open(image, "r");
  const { size } = await file.stat();
  const hashOf = async (offset: number, length: number) =>
    hash("sha256", (await file.read(Buffer.alloc(length), 0, length, offset)).buffer);
  return {
    [`${name}, before its first file system`]: await hashOf(0, firstFileSystemBytes),
    [`${name}, its end`]: await hashOf(size - GPT_COPY_BYTES, GPT_COPY_BYTES),
  };
}

/**
 * Files whose time is not compared: GRUB's environment block, which systems rewrite with the same content at
 * each start (Debian 13's grub-common.service). The boot receipt does not compare it either.
 */
const REWRITTEN_AT_EACH_START = /^\/boot\/grub2?\/grubenv$/;

function fileDifferences(before: ObservedMachine, after: ObservedMachine): string[] {
  const judged = ({ files }: ObservedMachine): Contents =>
    Object.fromEntries(
      Object.entries(files).map(([path, line]) => [
        path,
        REWRITTEN_AT_EACH_START.test(path) ? withoutTime(line) : line,
      ]),
    );
  return differencesOf(judged(before), judged(after));
}

/**
 * The differences in files of boot loaders and kernels, in bytes outside of file systems, and in the
 * firmware's boot entries. There must be none.
 */
export function bootDifferences(before: ObservedMachine, after: ObservedMachine): string[] {
  const isOfBoot = (path: string) => path.startsWith("/boot/");
  return [
    ...fileDifferences(before, after).filter(isOfBoot),
    ...differencesOf(before.outside, after.outside),
    ...differencesOf(before.bootVariables, after.bootVariables),
  ];
}

/**
 * What a Debian system writes to its own disk when it starts, runs the agent and stops. Nothing else may
 * differ.
 */
const WRITTEN_BY_THE_SYSTEM = [
  /^\/var\/lib\/causeway-agent\//,
  /^\/var\/lib\/systemd\//,
  /^\/var\/lib\/dhcp\//,
  /^\/var\/log\//,
  /^\/etc\/resolv\.conf$/,
  // LVM's own copy of its metadata. The first LVM command that finds none writes it.
  /^\/etc\/lvm\/(archive|backup)\//,
];

/** Files that differ although the running original system does not write them. There must be none. */
export function unexpectedDifferences(before: ObservedMachine, after: ObservedMachine): string[] {
  return fileDifferences(before, after).filter(
    (path) => !WRITTEN_BY_THE_SYSTEM.some((pattern) => pattern.test(path)),
  );
}
