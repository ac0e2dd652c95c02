/** For tests: images of real file systems, made by the file systems' own tools. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Extents } from "#shared/domain/extents.ts";
import { openFileReader } from "../../disk/reader.ts";

export const MIB = 2 ** 20;

/** Runs a tool and returns what it printed; throws if it fails. System directories are searched, too. */
export function tool(command: string, ...args: string[]): string {
  return toolBytes(command, ...args).toString("utf8");
}

/** The same, for a tool that prints something other than text. */
export function toolBytes(command: string, ...args: string[]): Buffer {
  return execFileSync("env", ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", command, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * MIB,
  });
}

/** How a tool ended and what it printed, whether it failed or not. */
export function toolOutput(command: string, ...args: string[]): { status: number; output: string } {
  const environment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", env: environment });
  return { status: status ?? -1, output: stdout };
}

/** Root can mount images, which some tests need to delete files. */
export const isRoot = process.getuid?.() === 0;

export async function inScratch(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "filesystem-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Gives a loop device one partition, as `sfdisk` reads it, and returns the partition's path. Makes the node
 * itself: there may be no program that does.
 */
export function addPartition(device: string, line: string): string {
  tool("sh", "-c", `echo ${line} | sfdisk --quiet --no-reread --no-tell-kernel ${device}`);
  tool("partx", "--update", device);
  const path = `${device}p1`;
  const number = tool("cat", `/sys/class/block/${basename(path)}/dev`).trim();
  tool("rm", "--force", path);
  tool("mknod", path, "b", ...number.split(":"));
  return path;
}

/** Takes the partitions away: the kernel would keep them for the next user of the device. */
export function removePartition(device: string): void {
  tool("partx", "--delete", device);
  tool("rm", "--force", `${device}p1`);
}

/** A file without any zeros, so that no test passes because left-out bytes happened to be zeros. */
export async function createJunkImage(path: string, sizeBytes: number): Promise<void> {
  const chunk = Buffer.alloc(MIB, "free space is not empty ");
  const file = await open(path, "w");
  try {
    for (let offset = 0; offset < sizeBytes; offset += MIB) {
      await file.write(chunk, 0, Math.min(MIB, sizeBytes - offset), offset);
    }
  } finally {
    await file.close();
  }
}

/** A new file of zeros that takes no space, for tests that compare only positions and sizes. */
export function createSparse(path: string, sizeMiB: number): void {
  tool("rm", "--force", path);
  tool("truncate", "--size", `${sizeMiB}M`, path);
}

/** Writes a volume into a disk from this MiB on. Skips its zeros if the disk has zeros there. */
export function place(volume: string, disk: string, atMiB: number, inZeros = false): void {
  const conversion = `conv=notrunc${inZeros ? ",sparse" : ""}`;
  tool("dd", `if=${volume}`, `of=${disk}`, "bs=1M", `seek=${atMiB}`, conversion, "status=none");
}

/** A folder with files of many sizes, named so that every second one can be deleted. */
export async function createFiles(folder: string, count: number): Promise<void> {
  await mkdir(join(folder, "nested"), { recursive: true });
  for (let index = 0; index < count; index++) {
    const kind = index % 2 === 0 ? "keep" : "delete";
    const bytes = Buffer.alloc((index * 7919) % 60_000, `${kind} ${index} `);
    await writeFile(join(folder, "nested", `${kind}-${index}`), bytes);
  }
}

/** Mounts an image through a loop device while `run` runs. */
export async function mounted(
  image: string,
  options: string,
  run: (folder: string) => Promise<void>,
  type = "auto",
): Promise<void> {
  const folder = `${image}.mnt`;
  await mkdir(folder, { recursive: true });
  tool("mount", "-t", type, "-o", `loop,${options}`, image, folder);
  try {
    await run(folder);
  } finally {
    tool("umount", folder);
  }
}

/** Copies only these extents of an image onto zeros. */
export async function copyExtents(from: string, to: string, extents: Extents): Promise<void> {
  const reader = await openFileReader(from);
  const file = await open(to, "w");
  try {
    await file.truncate(reader.sizeBytes);
    for (const { offset, length } of extents) {
      for (let done = 0; done < length; done += 4 * MIB) {
        const bytes = await reader.read(offset + done, Math.min(4 * MIB, length - done));
        await file.write(bytes, 0, bytes.length, offset + done);
      }
    }
  } finally {
    await file.close();
    await reader.close();
  }
}
