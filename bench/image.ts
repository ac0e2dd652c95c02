import { stat } from "node:fs/promises";
import { buildDebianDisk } from "../e2e/machines/disk/debian-disk.ts";

const SIZE_BYTES = 4 * 1024 ** 3;

/** The disk that everything is measured on: a bootable Debian of 4 GiB, built once. */
export async function debianImage(cacheDir: string): Promise<string> {
  const log = (line: string) => console.error(line);
  const disk = await buildDebianDisk({ firmware: "bios", sizeBytes: SIZE_BYTES, cacheDir, log });
  return disk.path;
}

export interface ImageFacts {
  path: string;
  sizeBytes: number;
  /** What the image takes on its file system: holes are not in use. */
  usedBytes: number;
}

export async function describeImage(path: string): Promise<ImageFacts> {
  const { size, blocks } = await stat(path);
  return { path, sizeBytes: size, usedBytes: blocks * 512 };
}
