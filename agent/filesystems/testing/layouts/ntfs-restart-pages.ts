import { open, readFile } from "node:fs/promises";

type Page = `${"old" | "new"} and ${"clean" | "in use"}`;

const PAGE_BYTES = 4096;
const RECORD_BYTES = 1024;
const DATA = 0x80;

/**
 * Gives `$LogFile` two restart pages, as Windows writes them in turns; the one with the larger log sequence
 * number counts. The fields are those of `RESTART_PAGE_HEADER`, `RESTART_AREA` and `LOG_CLIENT_RECORD` in
 * ntfs-3g's `logfile.h`.
 */
export async function writeRestartPages(image: string, pages: [Page, Page]): Promise<void> {
  const bytes = await readFile(image);
  const clusterBytes = 512 * bytes.readUInt8(13);
  const record = Number(bytes.readBigUInt64LE(0x30)) * clusterBytes + 2 * RECORD_BYTES;
  let attribute = record + bytes.readUInt16LE(record + 20);
  while (bytes.readUInt32LE(attribute) !== DATA) attribute += bytes.readUInt32LE(attribute + 4);
  const sizeBytes = Number(bytes.readBigUInt64LE(attribute + 48));
  const run = attribute + bytes.readUInt16LE(attribute + 32);
  const sizes = bytes.readUInt8(run);
  const offset = bytes.readUIntLE(run + 1 + (sizes & 15), sizes >> 4) * clusterBytes;
  const log = Buffer.alloc(sizeBytes, 0xff);
  for (const [index, page] of pages.entries()) restartPage(page, sizeBytes).copy(log, index * PAGE_BYTES);
  const file = await open(image, "r+");
  await file.write(log, 0, log.length, offset);
  await file.close();
}

function restartPage(kind: Page, logBytes: number): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  const sequence = kind.startsWith("new") ? 0x2000n : 0x1000n;
  const isInUse = kind.endsWith("in use");
  page.write("RSTR", 0, "latin1");
  page.writeUInt16LE(0x1e, 4);
  page.writeUInt16LE(9, 6);
  page.writeUInt32LE(PAGE_BYTES, 16);
  page.writeUInt32LE(PAGE_BYTES, 20);
  page.writeUInt16LE(0x30, 24);
  for (const version of [26, 28]) page.writeUInt16LE(1, version);
  const area = 0x30;
  page.writeBigUInt64LE(sequence, area);
  page.writeUInt16LE(1, area + 8);
  page.writeUInt16LE(isInUse ? 0xffff : 0, area + 10);
  page.writeUInt16LE(isInUse ? 0 : 0xffff, area + 12);
  page.writeUInt16LE(isInUse ? 0 : 2, area + 14);
  page.writeUInt32LE(64 - (logBytes.toString(2).length - 3), area + 16);
  page.writeUInt16LE(0xe0, area + 20);
  page.writeUInt16LE(0x40, area + 22);
  page.writeBigUInt64LE(BigInt(logBytes), area + 24);
  page.writeUInt16LE(0x30, area + 36);
  page.writeUInt16LE(0x40, area + 38);
  page.writeUInt32LE(1, area + 40);
  const client = area + 0x40;
  page.writeBigUInt64LE(sequence, client);
  page.writeBigUInt64LE(sequence, client + 8);
  page.writeUInt16LE(0xffff, client + 16);
  page.writeUInt16LE(0xffff, client + 18);
  page.writeUInt16LE(1, client + 20);
  page.writeUInt32LE(8, client + 28);
  page.write("NTFS", client + 32, "utf16le");
  // The last two bytes of each 512 are in the page's head instead.
  page.writeUInt16LE(1, 0x1e);
  for (let stride = 1; stride <= 8; stride++) {
    page.copyWithin(0x1e + 2 * stride, stride * 512 - 2, stride * 512);
    page.writeUInt16LE(1, stride * 512 - 2);
  }
  return page;
}
