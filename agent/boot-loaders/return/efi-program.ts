/** What kind of UEFI program this is, by its bytes. */

export type EfiProgram =
  | { kind: "grub"; prefix: string; script: string }
  | { kind: "shim" | "systemd-boot" | "linux" | "unknown" };

/** `mimg`: where GRUB's core keeps its modules (include/grub/kernel.h). */
const MODULES_MAGIC = Buffer.from("mimg");
const OBJECT = { config: 2, prefix: 3 } as const;
const HEADER_BYTES = 8;
/** Magic, padding, offset and size of a 64-bit GRUB. */
const INFO_BYTES = 24;

export function efiProgramOf(bytes: Buffer): EfiProgram {
  const modules = grubModulesOf(bytes);
  if (modules?.prefix !== undefined) return { kind: "grub", prefix: modules.prefix, script: modules.script };
  if (bytes.includes("#### LoaderInfo: systemd-boot ")) return { kind: "systemd-boot" };
  if (bytes.includes("UEFI SHIM\n")) return { kind: "shim" };
  // A kernel, by itself or in a unified image, has this in its header.
  if (bytes.includes("HdrS") || bytes.includes("#### LoaderInfo: systemd-stub ")) return { kind: "linux" };
  return { kind: "unknown" };
}

/** Prefix and built-in script of a GRUB core for UEFI; `undefined` if it is not one, or not a 64-bit one. */
function grubModulesOf(bytes: Buffer): { prefix: string | undefined; script: string } | undefined {
  for (let at = bytes.indexOf(MODULES_MAGIC); at >= 0; at = bytes.indexOf(MODULES_MAGIC, at + 1)) {
    if (at + INFO_BYTES > bytes.length) return undefined;
    const offset = Number(bytes.readBigUInt64LE(at + 8));
    const size = Number(bytes.readBigUInt64LE(at + 16));
    if (offset < INFO_BYTES || offset > size || at + size > bytes.length) continue;
    return objectsOf(bytes.subarray(at + offset, at + size));
  }
  return undefined;
}

function objectsOf(bytes: Buffer): { prefix: string | undefined; script: string } {
  let prefix: string | undefined;
  let script = "";
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const type = bytes.readUInt32LE(at);
    const size = bytes.readUInt32LE(at + 4);
    if (size < HEADER_BYTES || at + size > bytes.length) break;
    const text = () => bytes.toString("utf8", at + HEADER_BYTES, at + size).replace(/\0[\s\S]*$/, "");
    if (type === OBJECT.prefix) prefix = text();
    if (type === OBJECT.config) script = text();
    at += size;
  }
  return { prefix, script };
}
