/** What systemd-boot reads of a unified kernel image, wherever it is in the file. */
import type { DiskReader } from "../../disk/reader.ts";

const DOS_HEADER_BYTES = 64;
const PE_OFFSET = 0x3c;
const PE_HEADER_BYTES = 24;
const PE_MARK = 0x50450000;
const SECTION_BYTES = 40;
/** A menu shows short texts; a longer section is not one. */
const LONGEST_PART_BYTES = 2 ** 16;

export interface DescribedSystem {
  osRelease: string;
  commandLine: string | undefined;
  /** It has more than one set of parts, each an entry of its own in newer versions. */
  hasProfiles: boolean;
}

/** `undefined` for a file that is not a whole program for UEFI, or that does not describe a system. */
export async function describedSystem(file: DiskReader): Promise<DescribedSystem | undefined> {
  const sections = await sectionsOf(file).catch(() => undefined);
  const release = sections?.find(({ name }) => name === ".osrel");
  if (!sections || !release) return undefined;
  try {
    const line = sections.find(({ name }) => name === ".cmdline");
    return {
      osRelease: await textOf(file, release),
      commandLine: line && (await textOf(file, line)),
      hasProfiles: sections.some(({ name }) => name === ".profile"),
    };
  } catch {
    return undefined;
  }
}

interface Section {
  name: string;
  offset: number;
  length: number;
}

async function sectionsOf(file: DiskReader): Promise<Section[] | undefined> {
  const at = Buffer.from(await file.read(0, DOS_HEADER_BYTES)).readUInt32LE(PE_OFFSET);
  const header = Buffer.from(await file.read(at, PE_HEADER_BYTES));
  if (header.readUInt32BE(0) !== PE_MARK) return undefined;
  const [count, optionalBytes] = [header.readUInt16LE(6), header.readUInt16LE(20)];
  const table = Buffer.from(await file.read(at + PE_HEADER_BYTES + optionalBytes, count * SECTION_BYTES));
  return Array.from({ length: count }, (_, index) => {
    const section = table.subarray(index * SECTION_BYTES);
    return {
      name: section.toString("latin1", 0, 8).replace(/\0+$/, ""),
      length: Math.min(section.readUInt32LE(8), section.readUInt32LE(16)),
      offset: section.readUInt32LE(20),
    };
  });
}

async function textOf(file: DiskReader, { offset, length }: Section): Promise<string> {
  return Buffer.from(await file.read(offset, Math.min(length, LONGEST_PART_BYTES)))
    .toString("utf8")
    .replace(/\0[\s\S]*$/, "");
}
