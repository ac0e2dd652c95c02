import { crc32 } from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Length, type and checksum, around a chunk's data. */
const CHUNK_OVERHEAD_BYTES = 12;
/** Larger than any screen that QEMU emulates; a viewer may need four bytes for each pixel. */
const MAX_SIDE = 8192;

/** Whether these bytes are a whole picture, by its checksums, and small enough for a viewer. */
export function isPng(bytes: Buffer): boolean {
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return false;
  let offset = SIGNATURE.length;
  while (offset + CHUNK_OVERHEAD_BYTES <= bytes.length) {
    const dataEnd = offset + 8 + bytes.readUInt32BE(offset);
    if (dataEnd + 4 > bytes.length) return false;
    if (crc32(bytes.subarray(offset + 4, dataEnd)) !== bytes.readUInt32BE(dataEnd)) return false;
    const type = bytes.toString("latin1", offset + 4, offset + 8);
    if (offset === SIGNATURE.length && !isHeader(type, bytes.subarray(offset + 8, dataEnd))) return false;
    if (type === "IEND") return dataEnd + 4 === bytes.length;
    offset = dataEnd + 4;
  }
  return false;
}

function isHeader(type: string, data: Buffer): boolean {
  if (type !== "IHDR" || data.length !== 13) return false;
  const sides = [data.readUInt32BE(0), data.readUInt32BE(4)];
  return sides.every((side) => side > 0 && side <= MAX_SIDE);
}
