/** For tests: changes LVM's metadata on a disk, and corrects every checksum. */
import { readFile, writeFile } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { MIB } from "./test-image.ts";

const AREA_OFFSET = 4096;

export interface LvmEdit {
  text?: (text: string) => string;
  header?: (area: Buffer) => unknown;
}

/** Replaces LVM's text, then changes the header of the area that holds it. */
export async function editLvmArea(path: string, { text, header }: LvmEdit): Promise<void> {
  const image = await readFile(path);
  const area = image.subarray(AREA_OFFSET, MIB);
  if (text) {
    const start = 512;
    const from = Number(area.readBigUInt64LE(40));
    const old = area.toString("latin1", from, from + Number(area.readBigUInt64LE(48)) - 1);
    const edited = Buffer.from(`${text(old)}\0`, "latin1");
    edited.copy(area, start);
    area.writeBigUInt64LE(BigInt(start), 40);
    area.writeBigUInt64LE(BigInt(edited.length), 48);
    area.writeUInt32LE(checksum(edited), 56);
  }
  header?.(area);
  area.writeUInt32LE(checksum(area.subarray(4, 512)), 0);
  await writeFile(path, image);
}

function checksum(bytes: Uint8Array): number {
  return ~crc32(bytes, ~0xf597a6cf >>> 0) >>> 0;
}
