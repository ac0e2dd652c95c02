import type { Content } from "./signature.ts";

/** Each takes the bytes of a structure from its beginning. */

export function describeExt(superblock: Buffer): Partial<Content> {
  const compatible = superblock.readUInt32LE(0x5c);
  const incompatible = superblock.readUInt32LE(0x60);
  const readOnly = superblock.readUInt32LE(0x64);
  if ((incompatible & 0x8) !== 0) return { type: "jbd", uuid: uuid(superblock, 0x68) };
  // Extents, 64bit, flexible groups, …: ext3 has none of these.
  const isExt4 = (incompatible & ~0x16) !== 0 || (readOnly & ~0x7) !== 0;
  const type = isExt4 ? "ext4" : (compatible & 0x4) !== 0 ? "ext3" : "ext2";
  return { type, uuid: uuid(superblock, 0x68), ...label(superblock, 0x78, 16) };
}

export function describeXfs(superblock: Buffer): Partial<Content> {
  return { uuid: uuid(superblock, 32), ...label(superblock, 108, 12) };
}

export function describeBtrfs(superblock: Buffer): Partial<Content> {
  return { uuid: uuid(superblock, 0x20), ...label(superblock, 0x12b, 256) };
}

/** From the beginning of the volume; the header itself is behind the first KiB, for any page size. */
export function describeSwap(head: Buffer): Partial<Content> {
  return { uuid: uuid(head, 1036), ...label(head, 1052, 16) };
}

export function describeNtfs(sector: Buffer): Partial<Content> {
  return { uuid: sector.readBigUInt64LE(0x48).toString(16).toUpperCase().padStart(16, "0") };
}

export function describeFat(sector: Buffer): Partial<Content> {
  // The position of the serial number and of the label behind it depends on the width of the table.
  const serial = sector.readUInt16LE(22) === 0 ? 67 : 39;
  const number = sector.readUInt32LE(serial).toString(16).toUpperCase().padStart(8, "0");
  const name = label(sector, serial + 4, 11);
  return {
    uuid: `${number.slice(0, 4)}-${number.slice(4)}`,
    ...(name.label !== "NO NAME" && name),
  };
}

export function describeLuks(header: Buffer): Partial<Content> {
  return { uuid: string(header, 168, 40) };
}

export function describeLvm(sector: Buffer): Partial<Content> {
  const header = Math.min(sector.readUInt32LE(20), sector.length - 32);
  const id = string(sector, header, 32);
  return { uuid: id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, "$1-$2-$3-$4-$5-$6-$7") };
}

export function describeRaid(superblock: Buffer): Partial<Content> {
  return { uuid: uuid(superblock, 16), ...label(superblock, 32, 32) };
}

export function describeIso(descriptor: Buffer): Partial<Content> {
  return label(descriptor, 40, 32);
}

function uuid(bytes: Buffer, offset: number): string {
  const hex = bytes.toString("hex", offset, offset + 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function label(bytes: Buffer, offset: number, length: number): { label?: string } {
  const value = string(bytes, offset, length);
  return value === "" ? {} : { label: value };
}

function string(bytes: Buffer, offset: number, length: number): string {
  const end = bytes.indexOf(0, offset);
  return bytes.toString("utf8", offset, end < 0 ? offset + length : Math.min(end, offset + length)).trimEnd();
}
