import { existsSync } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { runProcess } from "./run-process.ts";

const USED_MIB = 2040;

/**
 * A 4 GiB ext4 image of about 2 GiB of this machine's own programs and libraries, made once: what a real disk holds, in its real
 * mixture, without a network.
 */
export async function localImage(folder: string): Promise<string> {
  const image = join(folder, "usr.img");
  if (existsSync(image)) return image;
  await mkdir(folder, { recursive: true });
  const tree = join(folder, "usr-tree");
  const part = `${image}.part`;
  const script = `set -e; mkdir -p "$1"; cd /usr
    find bin sbin lib share -xdev -type f -printf '%s\\t%p\\n' | sort -k2 | awk -F'\\t' '{s+=$1} s<${USED_MIB}*1048576 {print $2}' |
      tar -C /usr -cf - -T - | tar -C "$1" -xf -
    truncate -s 4G "$2"; mkfs.ext4 -q -F -d "$1" "$2"`;
  try {
    await runProcess("bash", ["-c", script, "bash", tree, part]);
    await rename(part, image);
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
  return image;
}

export async function describeImage(
  path: string,
): Promise<{ path: string; sizeMiB: number; usedMiB: number }> {
  const { size, blocks } = await stat(path);
  return { path, sizeMiB: Math.round(size / 2 ** 20), usedMiB: Math.round(blocks / 2048) };
}
