import { createCipheriv, createHash } from "node:crypto";
import { open } from "node:fs/promises";

const MiB = 1024 * 1024;

/** Incompressible bytes, generated fast. The same seed gives the same bytes. */
export function noise(seed: string, bytes: number): Buffer {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

/** How many bytes of each kind every 8 MiB of a test disk has. */
const PATTERN_BYTES = 8 * MiB;
const NOISE_BYTES = 5 * MiB;
const TEXT_BYTES = 1 * MiB;

/** The least that a capture of such a disk stores: its noise. */
export const storedBytesOf = (sizeBytes: number): number => (sizeBytes / PATTERN_BYTES) * NOISE_BYTES;

/**
 * Writes a sparse disk of a multiple of 8 MiB: noise, text that compresses well, and holes, over and over.
 */
export async function writeTestDisk(path: string, sizeBytes: number, seed: string): Promise<void> {
  await using file = await open(path, "w");
  await file.truncate(sizeBytes);
  for (let offset = 0; offset < sizeBytes; offset += PATTERN_BYTES) {
    await file.write(noise(`${seed} ${offset}`, NOISE_BYTES), 0, NOISE_BYTES, offset);
    const text = Buffer.alloc(TEXT_BYTES, `${seed}: line ${offset} of a log that says much the same\n`);
    await file.write(text, 0, TEXT_BYTES, offset + NOISE_BYTES + MiB);
  }
  // Otherwise the next small durable write of another program would wait for all of this.
  await file.sync();
}

/** Changes a few bytes in the middle of a disk, as a running server does. */
export async function changeTestDisk(path: string, offset: number, seed: string): Promise<void> {
  await using file = await open(path, "r+");
  const bytes = noise(seed, 3000);
  await file.write(bytes, 0, bytes.length, offset);
}
