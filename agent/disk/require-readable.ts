import { type FileHandle, open } from "node:fs/promises";
import { DiskUnusableError } from "#shared/errors.ts";
import { openFileReader } from "./reader.ts";

/**
 * Resolves if this process can read the image file or block device. Throws `DiskUnusableError` for anything
 * else, and the system's own error if it cannot be opened.
 */
export async function requireReadable({ name, path }: { name: string; path: string }): Promise<void> {
  await using file: FileHandle = await open(path, "r");
  const facts = await file.stat();
  if (!facts.isFile() && !facts.isBlockDevice())
    throw new DiskUnusableError(name, `${path} is neither a file nor a block device`);
  const reader = await openFileReader(path);
  try {
    if (reader.sizeBytes === 0) throw new DiskUnusableError(name, `${path} is empty`);
    await reader.read(0, Math.min(512, reader.sizeBytes));
  } finally {
    await reader.close();
  }
}
