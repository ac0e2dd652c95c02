import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import * as z from "zod";
import { fileSystemOf } from "../../filesystems/file-systems.ts";
import type { BrowsedVolume } from "../messages.ts";
import { majorOf, minorOf } from "./device-number.ts";
import { runGuestTool } from "./tool.ts";

const BLOCK = "/sys/class/block";
const SECTOR_BYTES = 512;
/** The problem of a volume that has no known content. */
export const NOTHING_RECOGNISED = "nothing is recognised";

/** By what `/etc/fstab` can name a volume, besides its device. */
export interface VolumeIds {
  uuid?: string | undefined;
  label?: string | undefined;
  partUuid?: string | undefined;
  partLabel?: string | undefined;
  /** Of the device alone, where a file system is on several. */
  memberUuid?: string | undefined;
}

/** A volume, and the device on which the guest finds it. */
export interface GuestVolume extends BrowsedVolume {
  device: string;
  ids: VolumeIds;
}

/** What is not a file system and has a better explanation than its type. */
const PROBLEMS: Readonly<Record<string, string>> = {
  LVM2_member: "a physical volume of LVM; its logical volumes are in the list if the group is complete",
  crypto_LUKS: "it is encrypted",
  linux_raid_member: "a member of a software RAID",
  swap: "swap",
};

/**
 * The disk with this number, its partitions, and the logical volumes of groups that have a part of it, which
 * become read-only.
 */
export async function volumesOfDisk(disk: number): Promise<GuestVolume[]> {
  const name = await deviceOfTarget(disk);
  const plain = await plainVolumes(name);
  const devices = new Set([name, ...plain.map(({ device }) => device)]);
  return [...plain, ...(await logicalVolumesOn(devices, "read-only"))];
}

/** The partitions of a device, or the device itself if it has none. */
export async function plainVolumes(device: string): Promise<GuestVolume[]> {
  const partitions = await partitionsOf(device);
  return Promise.all((partitions.length > 0 ? partitions : [{ name: "disk", device }]).map(describeVolume));
}

/** Disks are SCSI targets, numbered as the operator's machine attached them. */
export async function deviceOfTarget(target: number): Promise<string> {
  for (const name of await readdir(BLOCK)) {
    const device = await realpath(join(BLOCK, name, "device")).catch(() => "");
    if (new RegExp(`^\\d+:0:${target}:0$`).test(basename(device))) return name;
  }
  throw new Error(`no disk ${target} is attached`);
}

async function partitionsOf(disk: string): Promise<{ name: string; device: string; number: number }[]> {
  const partitions: { name: string; device: string; number: number }[] = [];
  for (const device of await readdir(join(BLOCK, disk))) {
    const number = await readFile(join(BLOCK, disk, device, "partition"), "utf8").catch(() => undefined);
    if (number !== undefined)
      partitions.push({ name: `partition ${number.trim()}`, device, number: Number(number) });
  }
  return partitions.sort((a, b) => a.number - b.number);
}

const Report = z.object({
  report: z.array(
    z.object({
      pv: z.array(z.object({ pv_name: z.string(), vg_name: z.string() })).optional(),
      lv: z
        .array(
          z.object({
            ...{ vg_name: z.string(), lv_name: z.string(), lv_path: z.string() },
            lv_attr: z.string().optional(),
          }),
        )
        .optional(),
    }),
  ),
});

/** Activates the groups that have a physical volume on one of these devices. */
export async function logicalVolumesOn(
  devices: ReadonlySet<string>,
  access: "read-only" | "writable",
): Promise<GuestVolume[]> {
  const found = new Set<string>();
  for (const { pv_name, vg_name } of (await lvmReport("pvs", "pv_name,vg_name")).pv ?? []) {
    // One on an unlocked volume has the mapper's name of that.
    const device = await kernelName(pv_name).catch(() => basename(pv_name));
    if (vg_name !== "" && devices.has(device)) found.add(vg_name);
  }
  if (found.size === 0) return [];
  const groups = [...found];
  const listed = access === "read-only" ? groups.map((group) => `"${group}"`).join(", ") : "";
  const readOnly = `activation { read_only_volume_list = [ ${listed} ] }`;
  await runGuestTool("/usr/sbin/modprobe", "dm_mod");
  await runGuestTool("/usr/sbin/lvm", "vgchange", "-ay", "--config", readOnly, ...groups);
  const volumes: { name: string; device: string }[] = [];
  for (const { vg_name, lv_name, lv_path } of (await lvmReport("lvs", "vg_name,lv_name,lv_path")).lv ?? []) {
    if (!found.has(vg_name) || lv_path === "") continue;
    const device = await kernelName(lv_path).catch(() => "");
    volumes.push({ name: `${vg_name}/${lv_name}`, device });
  }
  return Promise.all(volumes.map(describeVolume));
}

/**
 * The device mapper makes device nodes of its own where there is no udev; only their number leads to the
 * kernel's name.
 */
export async function kernelName(path: string): Promise<string> {
  const { rdev } = await stat(path);
  return basename(await realpath(`/sys/dev/block/${majorOf(rdev)}:${minorOf(rdev)}`));
}

/** What LVM reports; empty if it does not. `more`: further words of the command line. */
export async function lvmReport(
  command: string,
  fields: string,
  ...more: string[]
): Promise<z.infer<typeof Report>["report"][number]> {
  const words = [command, "--reportformat", "json", "-o", fields, ...more];
  const { output } = await runGuestTool("/usr/sbin/lvm", ...words);
  try {
    return Report.parse(JSON.parse(output)).report[0] ?? {};
  } catch {
    return {};
  }
}

export async function describeVolume({
  name,
  device,
}: {
  name: string;
  device: string;
}): Promise<GuestVolume> {
  if (device === "") return { name, device, ids: {}, sizeBytes: 0, problem: "LVM could not activate it" };
  const sectors = await readFile(join(BLOCK, device, "size"), "utf8");
  const path = join("/dev", device);
  const { output, complaint } = await runGuestTool("/usr/sbin/blkid", "-p", "-o", "export", path);
  const field = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(output)?.[1]?.replace(/\\(.)/g, "$1");
  const [type, label] = [field("TYPE"), field("LABEL")];
  const problem = problemOf(type, complaint);
  return {
    name,
    device,
    ids: {
      uuid: field("UUID"),
      label,
      partUuid: field("PART_ENTRY_UUID"),
      partLabel: field("PART_ENTRY_NAME"),
      memberUuid: field("UUID_SUB"),
    },
    sizeBytes: Number(sectors) * SECTOR_BYTES,
    ...(type === undefined ? {} : { type: type.slice(0, 100) }),
    ...(label === undefined ? {} : { label: label.slice(0, 300) }),
    ...(problem === undefined ? {} : { problem }),
  };
}

function problemOf(type: string | undefined, complaint: string): string | undefined {
  if (type === undefined)
    return /ambivalent/i.test(complaint) ? "it can be read in several ways" : NOTHING_RECOGNISED;
  if (fileSystemOf(type)?.readOnlyMount) return undefined;
  return PROBLEMS[type] ?? `${type} cannot be mounted here`;
}

/** Mounts a volume at a folder, so that nothing is written to it and nothing in it is run. */
export async function mountVolume(
  { device, type = "" }: Pick<GuestVolume, "device" | "type">,
  folder: string,
): Promise<string | undefined> {
  const mount = fileSystemOf(type)?.readOnlyMount;
  if (!mount) return `${type} cannot be mounted here`;
  const options = ["ro", "nosuid", "nodev", "noexec", ...mount.options].join(",");
  const args = ["-t", mount.type, "-o", options, join("/dev", device), folder];
  const { succeeded, complaint } = await runGuestTool("/usr/bin/mount", ...args);
  return succeeded ? undefined : complaint || "the mount failed";
}
