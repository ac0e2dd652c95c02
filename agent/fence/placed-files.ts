/** How the files of a fence are put in their places, and removed. Each may be repeated. */
import { mkdir, rm, rmdir, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { replaceLocalFile } from "../machine/durable.ts";
import { type FencePlaces, returnNotice } from "./fence-files.ts";

/** In place of a file or of a link. */
export async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await replaceLocalFile(path, text, 0o644);
}

/** A symbolic link, also to what is not there. */
export async function putLink(path: string, target: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await symlink(target, path);
}

export async function removeFiles(
  { marker, notices, dropIn, formerDropIn }: FencePlaces,
  units: readonly string[],
): Promise<void> {
  for (const path of [marker, ...notices]) await rm(path, { force: true });
  for (const path of units.flatMap((unit) => [formerDropIn(unit), dropIn(unit)])) await removeDropIn(path);
}

export async function removeDropIn(path: string): Promise<void> {
  await rm(path, { force: true });
  // Others may have files of their own there.
  await rmdir(dirname(path)).catch(() => {});
}

/** The file that the boot environment leaves, with its notice. */
export async function removeMarker(path: string): Promise<void> {
  for (const one of [path, returnNotice(path)]) await rm(one, { force: true });
}
