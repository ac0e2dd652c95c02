import { FILE_SYSTEMS } from "../file-systems.ts";
import { BIOS_RAID_SIGNATURES } from "./bios-raid.ts";
import { MEMBER_SIGNATURES } from "./members.ts";
import type { Signature } from "./signature.ts";
import { TABLE_SIGNATURES } from "./tables.ts";

const FILE_SYSTEM_SIGNATURES = FILE_SYSTEMS.flatMap(({ signatures }) => signatures);

/**
 * Everything that is searched for, in the order in which it names a volume with several readings: containers
 * first, because their content may show through. By libblkid's probes,
 * https://github.com/util-linux/util-linux/tree/master/libblkid/src, and what they leave out.
 */
export const SIGNATURES: readonly Signature[] = [
  ...MEMBER_SIGNATURES,
  ...BIOS_RAID_SIGNATURES,
  ...TABLE_SIGNATURES,
  ...FILE_SYSTEM_SIGNATURES,
];

const TABLE_TYPES = new Set(TABLE_SIGNATURES.map(({ type }) => type));

/** Not members of an array: one of these at the end of a partition says nothing about the whole disk. */
const FILE_SYSTEM_TYPES = new Set([...FILE_SYSTEM_SIGNATURES.map(({ type }) => type), "zfs_member"]);

export function isFileSystem(type: string): boolean {
  return FILE_SYSTEM_TYPES.has(type);
}

const EXTERNAL_PARTS = ["jbd", "xfs_external_log", "xfs_realtime"];
const MEMBER_TYPES = new Set([
  ...[...MEMBER_SIGNATURES, ...BIOS_RAID_SIGNATURES].map(({ type }) => type),
  ...EXTERNAL_PARTS,
]);

/** Whether a volume of this type is part of something larger, and so can be in use without being mounted. */
export function isMember(type: string): boolean {
  return MEMBER_TYPES.has(type);
}

/** Whether a content's type is a partition table. */
export function isTable(type: string): boolean {
  return TABLE_TYPES.has(type);
}
