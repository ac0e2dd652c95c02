import { open } from "node:fs/promises";

const CHUNK_BYTES = 4 * 1024 * 1024;

/** Compares two files and returns the offset of the first difference, or `undefined` if they are equal. */
export async function firstDifference(left: string, right: string): Promise<number | undefined> {
  await using a = await open(left, "r");
  await using b = await open(right, "r");
  const buffers = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)] as const;
  for (let offset = 0; ; offset += CHUNK_BYTES) {
    const [one, two] = await Promise.all([
      a.read(buffers[0], 0, CHUNK_BYTES, offset),
      b.read(buffers[1], 0, CHUNK_BYTES, offset),
    ]);
    const left = buffers[0].subarray(0, one.bytesRead);
    const right = buffers[1].subarray(0, two.bytesRead);
    if (!left.equals(right)) {
      const common = Math.min(left.length, right.length);
      const at = left.subarray(0, common).findIndex((byte, index) => byte !== right[index]);
      return offset + (at < 0 ? common : at);
    }
    if (left.length < CHUNK_BYTES) return undefined;
  }
}
