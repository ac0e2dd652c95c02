import { BootImageBuildError } from "./errors.ts";

/** The parts of a unified kernel image. */
export interface UnifiedKernelParts {
  /** systemd's EFI stub, which starts the kernel with the other parts. */
  stub: Buffer;
  kernel: Buffer;
  initrd: Buffer;
  commandLine: string;
  /** Boot loaders display it: lines like those of `/etc/os-release`. */
  osRelease: string;
}

const FIELD = {
  /** In the DOS header: the position of the PE header. */
  peOffset: 0x3c,
  /** Relative to the PE header. */
  sectionCount: 6,
  optionalHeaderBytes: 20,
  optionalHeader: 24,
  /** Relative to the optional header. */
  initializedDataBytes: 8,
  sectionAlignment: 32,
  fileAlignment: 36,
  imageBytes: 56,
  headersBytes: 60,
  checksum: 64,
};
const SECTION_HEADER_BYTES = 40;
/** Initialised data, readable. */
const SECTION_FLAGS = 0x40000040;
const INITRD = ".initrd";

/**
 * One file that UEFI firmware starts directly. The RAM disk is its last section, so that `appendToInitrd` can
 * append a job's overlay.
 */
export function writeUnifiedKernelImage(parts: UnifiedKernelParts): Buffer {
  const { stub, kernel, initrd, commandLine, osRelease } = parts;
  return addSections(stub, [
    [".osrel", Buffer.from(osRelease, "utf8")],
    [".cmdline", Buffer.from(commandLine, "utf8")],
    [".linux", kernel],
    [INITRD, initrd],
  ]);
}

/**
 * The same image with more archives at the end of its RAM disk; throws `BootImageBuildError` for a file that
 * is not such an image.
 */
export function appendToInitrd(image: Buffer, archive: Buffer): Buffer {
  const sections = readHeaders(image);
  const last = sections.headers.at(-1);
  if (last?.name !== INITRD) throw new BootImageBuildError("the RAM disk is not the last part of this image");
  const start = image.readUInt32LE(last.at + 20);
  const sizeBytes = image.readUInt32LE(last.at + 8);
  const initrd = Buffer.concat([image.subarray(start, start + sizeBytes), padding(sizeBytes, 4), archive]);
  const without = Buffer.from(image.subarray(0, start));
  without.fill(0, last.at, last.at + SECTION_HEADER_BYTES);
  without.writeUInt16LE(sections.headers.length - 1, sections.pe + FIELD.sectionCount);
  const optional = sections.pe + FIELD.optionalHeader;
  const initialized = image.readUInt32LE(optional + FIELD.initializedDataBytes);
  without.writeUInt32LE(
    initialized - image.readUInt32LE(last.at + 16),
    optional + FIELD.initializedDataBytes,
  );
  return addSections(without, [[INITRD, initrd]]);
}

interface SectionHeader {
  at: number;
  name: string;
  /** The first address after it. */
  end: number;
}

function readHeaders(image: Buffer): { pe: number; headers: SectionHeader[]; table: number } {
  const pe = image.length > 0x40 ? image.readUInt32LE(FIELD.peOffset) : 0;
  if (pe === 0 || pe + FIELD.optionalHeader > image.length || image.readUInt32BE(pe) !== 0x50450000) {
    throw new BootImageBuildError("this is not a UEFI program");
  }
  const table = pe + FIELD.optionalHeader + image.readUInt16LE(pe + FIELD.optionalHeaderBytes);
  const headers = Array.from({ length: image.readUInt16LE(pe + FIELD.sectionCount) }, (_, index) => {
    const at = table + index * SECTION_HEADER_BYTES;
    const name = image.toString("latin1", at, at + 8).replace(/\0+$/, "");
    return { at, name, end: image.readUInt32LE(at + 12) + image.readUInt32LE(at + 8) };
  });
  return { pe, headers, table };
}

function addSections(image: Buffer, sections: readonly (readonly [string, Buffer])[]): Buffer {
  const { pe, headers, table } = readHeaders(image);
  const optional = pe + FIELD.optionalHeader;
  const fileAlignment = image.readUInt32LE(optional + FIELD.fileAlignment);
  const sectionAlignment = image.readUInt32LE(optional + FIELD.sectionAlignment);
  const count = headers.length + sections.length;
  if (table + count * SECTION_HEADER_BYTES > image.readUInt32LE(optional + FIELD.headersBytes)) {
    throw new BootImageBuildError("the EFI stub has no room for more sections");
  }
  const head = Buffer.concat([image, padding(image.length, fileAlignment)]);
  const chunks: Buffer[] = [head];
  let fileOffset = head.length;
  let address = Math.max(...headers.map(({ end }) => end));
  let initialized = head.readUInt32LE(optional + FIELD.initializedDataBytes);
  for (const [index, [name, content]] of sections.entries()) {
    address = aligned(address, sectionAlignment);
    const stored = aligned(content.length, fileAlignment);
    const at = table + (headers.length + index) * SECTION_HEADER_BYTES;
    head.write(name, at, 8, "latin1");
    head.writeUInt32LE(content.length, at + 8);
    head.writeUInt32LE(address, at + 12);
    head.writeUInt32LE(stored, at + 16);
    head.writeUInt32LE(fileOffset, at + 20);
    head.writeUInt32LE(SECTION_FLAGS, at + 36);
    chunks.push(content, padding(content.length, fileAlignment));
    fileOffset += stored;
    address += content.length;
    initialized += stored;
  }
  head.writeUInt16LE(count, pe + FIELD.sectionCount);
  head.writeUInt32LE(initialized, optional + FIELD.initializedDataBytes);
  head.writeUInt32LE(aligned(address, sectionAlignment), optional + FIELD.imageBytes);
  // Verified only for drivers, and wrong after this change.
  head.writeUInt32LE(0, optional + FIELD.checksum);
  return Buffer.concat(chunks);
}

function aligned(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

function padding(length: number, alignment: number): Buffer {
  return Buffer.alloc(aligned(length, alignment) - length);
}
