import { type DevicePathNode, decodeDevicePath, encodeDevicePath } from "./device-path.ts";

/**
 * `EFI_LOAD_OPTION`: the content of a `Boot####` variable, after the kernel's four bytes of variable
 * attributes.
 */
export interface LoadOption {
  active: boolean;
  /** Not shown in the firmware's menu. */
  hidden: boolean;
  /** The remaining attribute bits, unchanged. */
  otherAttributes: number;
  label: string;
  path: readonly DevicePathNode[];
  /** Passed to the program that is started. */
  optionalData: Buffer;
}

const ACTIVE = 0x01;
const HIDDEN = 0x08;
const FIXED_BYTES = 6;

/** The label of our entry in firmware menus, which distinguishes it from all others. */
export const OWN_LABEL = "Causeway boot environment";

export function isOwnLoadOption(bytes: Buffer): boolean {
  return decodeLoadOption(bytes)?.label === OWN_LABEL;
}

export function encodeLoadOption(option: LoadOption): Buffer {
  const { active, hidden, otherAttributes, label, path, optionalData } = option;
  if (label.includes("\0")) throw new RangeError("a label cannot have a zero character");
  const devicePath = encodeDevicePath(path);
  const fixed = Buffer.alloc(FIXED_BYTES);
  fixed.writeUInt32LE(((active ? ACTIVE : 0) | (hidden ? HIDDEN : 0) | otherAttributes) >>> 0, 0);
  fixed.writeUInt16LE(devicePath.length, 4);
  return Buffer.concat([fixed, Buffer.from(`${label}\0`, "utf16le"), devicePath, optionalData]);
}

/** Returns `undefined` if the bytes are not a load option with one device path. */
export function decodeLoadOption(bytes: Buffer): LoadOption | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  let end = FIXED_BYTES;
  while (end + 2 <= bytes.length && bytes.readUInt16LE(end) !== 0) end += 2;
  const pathStart = end + 2;
  const pathEnd = pathStart + bytes.readUInt16LE(4);
  if (pathEnd > bytes.length) return undefined;
  const path = decodeDevicePath(bytes.subarray(pathStart, pathEnd));
  if (!path) return undefined;
  const attributes = bytes.readUInt32LE(0);
  return {
    active: (attributes & ACTIVE) !== 0,
    hidden: (attributes & HIDDEN) !== 0,
    otherAttributes: (attributes & ~(ACTIVE | HIDDEN)) >>> 0,
    label: bytes.toString("utf16le", FIXED_BYTES, end),
    path,
    optionalData: bytes.subarray(pathEnd),
  };
}
