/** What hides volumes from a kernel that finds disks: arrays, encryption, volume groups. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { runGuestTool, runGuestToolWith } from "../../browse/guest/tool.ts";
import { describeVolume, kernelName, logicalVolumesOn, plainVolumes } from "../../browse/guest/volumes.ts";
import type { DiskKey } from "../disk-key.ts";
import { type AttachedVolume, attachedVolume, makeWritable } from "./system-volumes.ts";

const BLOCK = "/sys/class/block";
const MDADM = "/usr/sbin/mdadm";
const CRYPTSETUP = "/usr/sbin/cryptsetup";

/** By what `blkid` calls the volumes that it consists of. Gives the volumes that appear. */
const LAYERS: Readonly<
  Record<string, (members: readonly AttachedVolume[], keys: readonly DiskKey[]) => Promise<AttachedVolume[]>>
> = {
  linux_raid_member: assembledArrays,
  crypto_LUKS: unlockedVolumes,
  LVM2_member: (members) => activatedVolumes(members),
};

/**
 * These volumes and those inside of them, writable, whatever contains what. An encrypted volume without a key
 * stays as it is. Throws if a key does not open its volume.
 */
export async function openedVolumes(
  outer: readonly AttachedVolume[],
  keys: readonly DiskKey[],
): Promise<AttachedVolume[]> {
  const volumes = [...outer];
  const seen = new Set<string>();
  for (;;) {
    const isNew = ({ device, type = "" }: AttachedVolume) => type in LAYERS && !seen.has(device);
    const type = volumes.find(isNew)?.type;
    const open = type === undefined ? undefined : LAYERS[type];
    if (!open) return volumes;
    // An array needs all of its members, and a group all of its disks.
    const members = volumes.filter((volume) => volume.type === type && isNew(volume));
    for (const { device } of members) seen.add(device);
    const known = new Set(volumes.map(({ device }) => device));
    for (const volume of await open(members, keys))
      if (volume.device !== "" && !known.has(volume.device)) volumes.push(volume);
  }
}

/** Everything that was written to them is on the disks then. Returns what could not be closed. */
export async function closeVolumes(volumes: readonly AttachedVolume[]): Promise<string[]> {
  const arrays = await runningArrays();
  const unlocked = volumes.flatMap(({ unlockedFrom, paths = [] }) =>
    unlockedFrom === undefined ? [] : [paths[0] ?? mapperPath(unlockedFrom)],
  );
  if (arrays.length === 0 && unlocked.length === 0) return [];
  const closing = [
    ["/usr/sbin/lvm", "vgchange", "-an"],
    ...unlocked.map((path) => [CRYPTSETUP, "close", path.replace("/dev/mapper/", "")]),
    // One that is not stopped would be mirrored again from the start.
    ...arrays.map((device) => [MDADM, "--stop", join("/dev", device)]),
  ] as const;
  const complaints: string[] = [];
  for (const [command = "", ...args] of closing) {
    const { succeeded, complaint } = await runGuestTool(command, ...args);
    if (!succeeded) complaints.push(`${args.join(" ")}: ${complaint}`);
  }
  return complaints;
}

/** Gives the content of a LUKS volume the name by which the system knows it. Returns the complaint. */
export async function nameUnlocked(volume: AttachedVolume, name: string): Promise<string | undefined> {
  const { unlockedFrom = "" } = volume;
  const { succeeded, complaint } = await runGuestTool(
    "/usr/sbin/dmsetup",
    "rename",
    mapperName(unlockedFrom),
    name,
  );
  if (!succeeded) return complaint;
  volume.paths = [join("/dev/mapper", name)];
  return undefined;
}

async function assembledArrays(): Promise<AttachedVolume[]> {
  await runGuestTool("/usr/sbin/modprobe", "md_mod");
  // Its status also says that a member is missing.
  await runGuestTool(MDADM, "--assemble", "--scan", "--config=partitions");
  const found: AttachedVolume[] = [];
  for (const device of await runningArrays()) {
    const { output } = await runGuestTool(MDADM, "--detail", "--export", join("/dev", device));
    const [, name] = /^MD_NAME=(?:[^:\n]*:)?(.+)$/m.exec(output) ?? [];
    const paths = name === undefined ? [] : [`/dev/md/${name}`, `/dev/md${name}`];
    for (const volume of await plainVolumes(device)) {
      await makeWritable(volume.device);
      const isWhole = volume.device === device;
      found.push({ ...attachedVolume(volume), ...(isWhole ? { paths } : {}) });
    }
  }
  return found;
}

async function runningArrays(): Promise<string[]> {
  return (await readdir(BLOCK)).filter((device) => /^md\d+$/.test(device)).sort();
}

async function unlockedVolumes(
  members: readonly AttachedVolume[],
  keys: readonly DiskKey[],
): Promise<AttachedVolume[]> {
  const found: AttachedVolume[] = [];
  for (const { uuid = "", device } of members) {
    const key = keys.find((one) => one.uuid === uuid)?.key;
    if (!key) continue;
    await runGuestTool("/usr/sbin/modprobe", "dm_crypt");
    const name = mapperName(uuid);
    const words = ["open", "--type", "luks", "--key-file", "-", join("/dev", device), name];
    const { succeeded, complaint } = await runGuestToolWith(key, CRYPTSETUP, ...words);
    if (!succeeded) throw new Error(`the key for LUKS volume ${uuid} does not open it: ${complaint}`);
    const inside = await kernelName(mapperPath(uuid));
    const volume = await describeVolume({ name: "unlocked", device: inside });
    found.push({ ...attachedVolume(volume), unlockedFrom: uuid });
  }
  return found;
}

async function activatedVolumes(members: readonly AttachedVolume[]): Promise<AttachedVolume[]> {
  const devices = new Set(members.map(({ device }) => device));
  return (await logicalVolumesOn(devices, "writable")).map((volume) => attachedVolume(volume));
}

const mapperName = (uuid: string) => `causeway-${uuid}`;
const mapperPath = (uuid: string) => join("/dev/mapper", mapperName(uuid));
