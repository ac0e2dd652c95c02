import { stat } from "node:fs/promises";
import { buildDebianDisk } from "../e2e/machines/disk/debian-disk.ts";

const SIZE_BYTES = 4 * 1024 ** 3;

/** The disk for all measurements: a bootable Debian of 4 GiB, built once. */
export async function debianImage(cacheDir: string): Promise<string> {
  const log = (line: string) => console.error(line);
  const disk = await buildDebianDisk({ firmware: "bios", sizeBytes: SIZE_BYTES, cacheDir, log });
  return disk.path;
}

export interface ImageFacts {
  path: string;
  sizeBytes: number;
  /** How many bytes the image uses on its file system, without holes. */
  usedBytes: number;
}

export async function describeImage(path: string): Promise<ImageFacts> {
  const { size, blocks } = await stat(path);
  return { path, sizeBytes: size, usedBytes: blocks * 512 };
}
