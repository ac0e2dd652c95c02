import { run } from "./command.ts";

/** An entry to add to a file system: a copy of the file `source`, or a link. */
export type Addition = { path: string; source: string; mode: number } | { path: string; linkTo: string };

/**
 * Adds files to an ext4 file system that starts at `offsetBytes` of a disk image, owned by root, and creates
 * their folders. Mounts nothing, so it needs no kernel driver and no loop device. Rejects if a file could not
 * be added.
 */
export async function addFiles(
  image: string,
  offsetBytes: number,
  additions: readonly Addition[],
): Promise<void> {
  const file = `${image}?offset=${offsetBytes}`;
  const folders = new Set(additions.flatMap(({ path }) => foldersOf(path)));
  const script = [
    ...[...folders].sort().map((folder) => `mkdir ${folder}`),
    ...additions.flatMap(commandsFor),
  ];
  await run("debugfs", ["-w", "-f", "-", file], { input: `${script.join("\n")}\n` });
  // debugfs reports failures only as text, so check each result.
  for (const { path } of additions) {
    const found = await run("debugfs", ["-R", `stat ${path}`, file]);
    if (!found.includes("Inode:")) throw new Error(`${path} could not be added to ${image}`);
  }
}

function commandsFor(addition: Addition): string[] {
  if ("linkTo" in addition) return [`symlink ${addition.path} ${addition.linkTo}`];
  const { path, source, mode } = addition;
  return [
    `write ${source} ${path}`,
    `sif ${path} mode 0100${mode.toString(8)}`,
    `sif ${path} uid 0`,
    `sif ${path} gid 0`,
  ];
}

/** The folders above a path: `/a` and `/a/b` for `/a/b/c`. Existing ones are not changed. */
function foldersOf(path: string): string[] {
  const names = path.split("/").slice(1, -1);
  return names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`);
}
