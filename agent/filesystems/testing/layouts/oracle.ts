import { spawnSync } from "node:child_process";
import { open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Extents, intersect, normalize, subtract, totalBytes } from "#shared/domain/extents.ts";
import type { DiskUsage } from "../../disk-usage.ts";
import { mounted, tool, toolBytes } from "../test-image.ts";
import type { Live, LiveFileSystem } from "./layout.ts";
import type { MemoryDisk } from "./region.ts";
import { FILE_NAME } from "./template.ts";

const AMBIVALENT = 8;
const CHUNK_BYTES = 64 * 1024;

/** What is wrong with leaving out the unused blocks of this disk; empty if our reading is safe. */
export async function judgeUsage(
  disk: MemoryDisk,
  live: Live,
  usage: DiskUsage,
  folder: string,
): Promise<string[]> {
  const used = usage.used.within(0, disk.sizeBytes);
  const wanted = clipped(live.used, disk.sizeBytes);
  const problems: string[] = [];
  const [lost] = subtract(wanted, used);
  if (lost) {
    const owner = live.used.find(
      ({ offset, length }) => lost.offset >= offset && lost.offset < offset + length,
    );
    problems.push(
      `${totalBytes(subtract(wanted, used))} bytes are lost, first of ${owner?.by} at ${lost.offset}`,
    );
  }
  const image = join(folder, "disk");
  await writeSparse(image, disk.bytes());
  const whole = { offset: 0, length: disk.sizeBytes };
  for (const place of [whole, ...clipped(live.places, disk.sizeBytes)]) {
    const free = subtract([place], used);
    if (free.length > 0 && isAmbivalent(image, place)) {
      problems.push(
        `blkid finds several readings at ${place.offset}, but ${totalBytes(free)} bytes are left out`,
      );
    }
  }
  return problems;
}

/**
 * Copies only the used blocks onto zeros, and lets the file systems' own tools check the copy. Each file
 * system is mounted and unmounted once if the kernel can do that, must hold the file that was written to it,
 * and must need no repair. The partition table must read the same.
 */
export async function judgeCopy(
  disk: MemoryDisk,
  live: Live,
  usage: DiskUsage,
  { folder, precious }: { folder: string; precious: Buffer },
): Promise<string[]> {
  const [original, copy] = [join(folder, "disk"), join(folder, "copy")];
  const before = tableOf(original);
  const all = disk.bytes();
  const kept = usage.used.within(0, disk.sizeBytes);
  for (const { offset, length } of subtract([{ offset: 0, length: disk.sizeBytes }], kept)) {
    all.fill(0, offset, offset + length);
  }
  await writeSparse(copy, all);
  const problems = tableOf(copy) === before ? [] : ["the partition table reads differently in the copy"];
  for (const fileSystem of live.fileSystems) {
    const isWhole =
      totalBytes(clipped(fileSystem.region.pieces, disk.sizeBytes)) === fileSystem.region.sizeBytes;
    if (!isWhole || fileSystem.template.checker === "none") continue;
    const problem = await judgeFileSystem(fileSystem, folder, precious);
    if (problem) problems.push(`${fileSystem.template.name}: ${problem}`);
  }
  return problems;
}

async function judgeFileSystem(
  { template, region }: LiveFileSystem,
  folder: string,
  precious: Buffer,
): Promise<string | undefined> {
  const image = join(folder, "volume");
  await writeSparse(image, region.read());
  try {
    if (template.checker === "ntfs") {
      tool("ntfsfix", "--no-action", image);
      return toolBytes("ntfscat", image, FILE_NAME).equals(precious) ? undefined : "its file differs";
    }
    if (template.checker === "exfat") {
      tool("fsck.exfat", "-n", image);
      return undefined;
    }
    let file: Buffer | undefined;
    // Not all kernels still mount version 4 of XFS.
    if (!template.name.includes("crc=0")) {
      const [type, options] = template.checker === "xfs" ? ["xfs", "rw,nouuid"] : ["ext4", "rw"];
      const readFileOf = async (mount: string) => {
        file = await readFile(join(mount, FILE_NAME));
      };
      // With its type given: older superblocks may show through in places that the file system does not use.
      await mounted(image, options, readFileOf, type);
    }
    if (template.checker === "ext") tool("e2fsck", "-f", "-n", image);
    else tool("xfs_repair", "-n", "-f", "-o", "force_geometry", image);
    return file === undefined || file.equals(precious) ? undefined : "its file differs";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await rm(image);
  }
}

function clipped(extents: Extents, sizeBytes: number): Extents {
  return intersect(normalize(extents), [{ offset: 0, length: sizeBytes }]);
}

function isAmbivalent(image: string, { offset, length }: { offset: number; length: number }): boolean {
  const words = ["-p", "-O", String(offset), "-S", String(length), image];
  return spawnSync("blkid", words, { env: { PATH: "/usr/sbin:/sbin" } }).status === AMBIVALENT;
}

/** Partitions as the system's own tool lists them; empty if there is no table. */
function tableOf(image: string): string {
  const { stdout } = spawnSync("partx", ["--show", "--raw", image], {
    env: { PATH: "/usr/bin:/usr/sbin:/sbin" },
  });
  return stdout.toString();
}

/** Writes only what is not zero, which is quick and small. */
async function writeSparse(path: string, bytes: Buffer): Promise<void> {
  const zeros = Buffer.alloc(CHUNK_BYTES);
  await writeFile(path, "");
  const file = await open(path, "r+");
  try {
    await file.truncate(bytes.length);
    for (let offset = 0; offset < bytes.length; offset += CHUNK_BYTES) {
      const chunk = bytes.subarray(offset, offset + CHUNK_BYTES);
      if (!chunk.equals(zeros.subarray(0, chunk.length))) await file.write(chunk, 0, chunk.length, offset);
    }
  } finally {
    await file.close();
  }
}
