/** What of a machine's disks must be the same after a cold clone, looked at from outside, with none of Causeway's own code. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ColdSite, copyAsRead } from "./cold-clone.ts";
import { type Contents, differencesOf, ext4Contents, fatContents } from "./disk/contents.ts";
import { bootVariablesIn } from "./disk/uefi-variables.ts";

export interface ObservedMachine {
  /** Every file of every file system. */
  files: Contents;
  /** The firmware's boot entries and their order; empty on BIOS. */
  bootVariables: Record<string, string>;
}

/** The machine as a power cut at this moment would leave it; it is paused meanwhile. */
export async function observe(site: ColdSite): Promise<ObservedMachine> {
  const folder = join(site.installation.dir, "observed");
  const copies = await copyAsRead(site, folder);
  try {
    const files: Contents = {};
    for (const { disk, offsetBytes, type, mountPoint } of site.fileSystems) {
      const read = type === "ext4" ? ext4Contents : fatContents;
      Object.assign(files, await read(copies[disk] ?? "", offsetBytes, mountPoint, folder));
    }
    const { flashPath } = site.machine;
    return { files, bootVariables: flashPath ? bootVariablesIn(await readFile(flashPath)) : {} };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Files of boot loaders and kernels that differ, and boot entries of the firmware. Nothing may. */
export function bootDifferences(before: ObservedMachine, after: ObservedMachine): string[] {
  const isOfBoot = (path: string) => path.startsWith("/boot/");
  return [
    ...differencesOf(before.files, after.files).filter(isOfBoot),
    ...differencesOf(before.bootVariables, after.bootVariables),
  ];
}

/** What a Debian system that starts, runs the agent and stops writes to its own disk; nothing else may differ. */
const WRITTEN_BY_THE_SYSTEM = [
  /^\/var\/lib\/causeway-agent\//,
  /^\/var\/lib\/systemd\//,
  /^\/var\/lib\/dhcp\//,
  /^\/var\/log\//,
  /^\/etc\/resolv\.conf$/,
];

/** Files that differ and that the running original system itself does not write. Nothing may. */
export function unexpectedDifferences(before: ObservedMachine, after: ObservedMachine): string[] {
  return differencesOf(before.files, after.files).filter(
    (path) => !WRITTEN_BY_THE_SYSTEM.some((pattern) => pattern.test(path)),
  );
}
