import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, readlink, rm, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { run } from "./command.ts";

/** A one-line description of each file, by its path from the file system's root. */
export type Contents = Record<string, string>;

/**
 * Hash, permissions, owner and time of every regular file of the ext4 file system at `offsetBytes` of a disk
 * image, by its path where that is mounted; links with their targets. Nothing is mounted. First replays the
 * journal in a copy, as a start of the machine would.
 */
export async function ext4Contents(
  image: string,
  offsetBytes: number,
  mountPoint: string,
  workDir: string,
): Promise<Contents> {
  const fileSystem = join(workDir, "file-system.raw");
  const tree = join(workDir, "tree");
  await rm(tree, { recursive: true, force: true });
  try {
    await mkdir(tree);
    // Copies everything except holes. (Given an offset, e2fsck cannot open the file system again after the
    // journal.)
    const part = `driver=raw,offset=${offsetBytes},file.driver=file,file.filename=${image}`;
    await run("qemu-img", ["convert", "-O", "raw", "--image-opts", part, fileSystem]);
    await run("e2fsck", ["-p", "-E", "journal_only", fileSystem]);
    await run("debugfs", ["-R", `rdump / ${tree}`, fileSystem]);
    return await contentsOf(tree, mountPoint);
  } finally {
    await rm(fileSystem, { force: true });
    await rm(tree, { recursive: true, force: true });
  }
}

/** The same for a FAT file system, which has no owners. Omits times, because they depend on who mounts it. */
export async function fatContents(
  image: string,
  offsetBytes: number,
  mountPoint: string,
  workDir: string,
): Promise<Contents> {
  const tree = join(workDir, "tree");
  await rm(tree, { recursive: true, force: true });
  try {
    await mkdir(tree);
    await run("mcopy", ["-s", "-n", "-i", `${image}@@${offsetBytes}`, "::/", tree]);
    const contents = await contentsOf(tree, mountPoint);
    return Object.fromEntries(
      Object.entries(contents).map(([path, line]) => [path, line.split(" ")[0] ?? ""]),
    );
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function contentsOf(tree: string, prefix: string): Promise<Contents> {
  const found: Contents = {};
  const entries = await readdir(tree, { recursive: true, withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.parentPath + a.name < b.parentPath + b.name ? -1 : 1))) {
    const real = join(entry.parentPath, entry.name);
    const path = posix.join(prefix, real.slice(tree.length));
    if (entry.isSymbolicLink()) found[path] = `-> ${await readlink(real)}`;
    if (!entry.isFile()) continue;
    const { mode, uid, gid, mtimeMs } = await stat(real);
    const hash = createHash("sha256")
      .update(await readFile(real))
      .digest("hex");
    found[path] = `${hash} ${(mode & 0o7777).toString(8)} ${uid}:${gid} ${Math.floor(mtimeMs / 1000)}`;
  }
  return found;
}

/** A file's description without its time: hash, permissions and owner. */
export function withoutTime(line: string): string {
  return line.split(" ").slice(0, 3).join(" ");
}

/** Paths whose files differ. */
export function differencesOf(before: Contents, after: Contents): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((path) => before[path] !== after[path])
    .sort();
}
