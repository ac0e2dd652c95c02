import { posix } from "node:path";
import type { PartitionTable, TablePartition } from "../filesystems/partition.ts";
import { readPartitionTable } from "../filesystems/partition-table.ts";
import { type Machine, readNumber } from "../machine/machine.ts";
import { collectFirmware, EFI_ATTRIBUTE_BYTES, EFI_GLOBAL, EFI_VARIABLES } from "../machine/system.ts";
import type { VolumeMap } from "./volumes.ts";

const LOADER_INTERFACE = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/** Non-volatile, visible to boot services and to the running system. */
export const VARIABLE_ATTRIBUTES = 7;

export function globalVariable(name: string): string {
  return `${name}-${EFI_GLOBAL}`;
}

/** A boot entry's variable, and its number. */
export const BOOT_ENTRY = new RegExp(`^${globalVariable("Boot([0-9A-F]{4})")}$`);

export function loaderVariable(name: string): string {
  return `${name}-${LOADER_INTERFACE}`;
}

/** A variable's bytes as its file has them: attributes, then value. */
export function variableBytes(value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(EFI_ATTRIBUTE_BYTES + value.length);
  bytes.writeUInt32LE(VARIABLE_ATTRIBUTES, 0);
  bytes.set(value, EFI_ATTRIBUTE_BYTES);
  return bytes;
}

/** A variable's value; `undefined` if it does not exist. */
export async function readVariable(machine: Machine, name: string): Promise<Buffer | undefined> {
  return (await machine.read(posix.join(EFI_VARIABLES, name)))?.subarray(EFI_ATTRIBUTE_BYTES);
}

/** What systemd-boot reports about itself, if it started this system. */
export async function runningLoader(machine: Machine): Promise<string | undefined> {
  const value = await readVariable(machine, loaderVariable("LoaderInfo"));
  return value?.toString("utf16le").replace(/\0+$/, "");
}

export interface FirmwareFacts {
  kind: "bios" | "uefi";
  secureBoot: "enabled" | "disabled" | "unsupported" | "unknown";
  variablesWritable: boolean;
  /** Another entry is already next (`BootNext`). */
  bootNextPending: boolean;
}

export async function readFirmware(machine: Machine, volumes: VolumeMap): Promise<FirmwareFacts> {
  const { kind, secureBoot } = await collectFirmware(machine);
  const mount = volumes.volumes.findLast(({ mountPoint }) => mountPoint === EFI_VARIABLES);
  return {
    kind: kind === "uefi" ? "uefi" : "bios",
    secureBoot,
    variablesWritable: mount?.type === "efivarfs" && mount.writable,
    bootNextPending: (await readVariable(machine, globalVariable("BootNext"))) !== undefined,
  };
}

const ESP_PATHS = ["/boot/efi", "/efi", "/boot"];

/** The mounted EFI system partition. */
export function findEsp<Mounted extends { mountPoint: string; type: string }>(
  mounts: readonly Mounted[],
): Mounted | undefined {
  for (const path of ESP_PATHS) {
    const mount = mounts.findLast(({ mountPoint }) => mountPoint === path);
    if (mount?.type === "vfat") return mount;
  }
  return undefined;
}

export interface PartitionFacts {
  diskPath: string;
  table: PartitionTable;
  partition: TablePartition;
  logicalSectorBytes: number;
}

/**
 * The partition with this device number (`major:minor`); `undefined` if it is not one, or if its table cannot
 * be read or trusted.
 */
export async function readPartition(machine: Machine, device: string): Promise<PartitionFacts | undefined> {
  const folder = await machine.resolve(`/sys/dev/block/${device}`);
  const number = folder && (await readNumber(machine, `${folder}/partition`));
  if (!folder || !number) return undefined;
  const parent = posix.dirname(folder);
  const diskPath = `/dev/${posix.basename(parent).replaceAll("!", "/")}`;
  const table = await readTable(machine, diskPath);
  const partition = table?.partitions.find((each) => each.number === number);
  if (!table || !partition) return undefined;
  const logicalSectorBytes = (await readNumber(machine, `${parent}/queue/logical_block_size`)) ?? 512;
  return { diskPath, table, partition, logicalSectorBytes };
}

async function readTable(machine: Machine, diskPath: string): Promise<PartitionTable | undefined> {
  try {
    const disk = await machine.openDisk(diskPath);
    try {
      const table = await readPartitionTable(disk);
      return table.kind === "gpt" || table.kind === "mbr" ? table : undefined;
    } finally {
      await disk.close();
    }
  } catch {
    // To callers, a disk that cannot be read is one with unknown partitions.
    return undefined;
  }
}

/** The boot loader in the disk's first sector, which a BIOS starts, judged by its text. */
export async function readBootSectorLoader(
  machine: Machine,
  diskPath: string,
): Promise<"grub" | "lilo" | "unknown"> {
  try {
    const disk = await machine.openDisk(diskPath);
    try {
      const code = Buffer.from(await disk.read(0, 446)).toString("latin1");
      if (code.includes("LILO")) return "lilo";
      return code.includes("GRUB") ? "grub" : "unknown";
    } finally {
      await disk.close();
    }
  } catch {
    return "unknown";
  }
}
