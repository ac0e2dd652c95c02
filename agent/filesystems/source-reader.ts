import type { DiskSource } from "../disk/disk-source.ts";
import { type DiskReader, requireWithin } from "../disk/reader.ts";
import { allocatePages, PAGE_BYTES } from "../threads/page-memory.ts";

const WINDOW_BYTES = 16 * PAGE_BYTES;

/** Any bytes of a disk that can be read only in whole sectors. */
export function readerOf(source: DiskSource): DiskReader {
  const window = Buffer.from(allocatePages(WINDOW_BYTES / PAGE_BYTES));
  const { sizeBytes, sectorBytes } = source;
  let last: Promise<unknown> = Promise.resolve();
  const readInto = async (bytes: Buffer, offset: number): Promise<void> => {
    for (let done = 0; done < bytes.length; ) {
      const start = Math.floor((offset + done) / sectorBytes) * sectorBytes;
      const skip = offset + done - start;
      const wanted = Math.ceil((skip + bytes.length - done) / sectorBytes) * sectorBytes;
      const count = await source.read(start, window.subarray(0, Math.min(wanted, WINDOW_BYTES)));
      if (count <= skip) throw new RangeError(`the disk ends at byte ${start + count}`);
      done += window.copy(bytes, done, skip, Math.min(count, skip + bytes.length - done));
    }
  };
  const reader: DiskReader = {
    sizeBytes,
    async read(offset, length) {
      requireWithin(reader, offset, length);
      const bytes = Buffer.alloc(length);
      // One at a time: they share the window.
      const reading = last.then(() => readInto(bytes, offset));
      last = reading.catch(() => undefined);
      await reading;
      return bytes;
    },
  };
  return reader;
}
