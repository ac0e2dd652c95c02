/** Files on FAT, which does not tell upper case from lower. */
import { posix } from "node:path";
import type { Machine } from "../machine/machine.ts";

/** A folder's member, by the name that it has there. */
export async function findName(machine: Machine, folder: string, name: string): Promise<string | undefined> {
  const found = (await machine.list(folder)).find((each) => each.toLowerCase() === name.toLowerCase());
  return found && posix.join(folder, found);
}

/** `path`: from the file system's root, with slashes. */
export async function findPath(machine: Machine, root: string, path: string): Promise<string | undefined> {
  let found: string | undefined = root;
  for (const name of path.split("/").filter(Boolean)) found = found && (await findName(machine, found, name));
  return found;
}
