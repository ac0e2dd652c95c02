import { lstat, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { UnsafePathError, UntrustedFolderError } from "#shared/errors.ts";

/** What file systems take at most for one name. */
const NAME_BYTES = 255;

/**
 * The path of something in a folder, by its name or by the names on the way. Every path that has a part from
 * elsewhere is made here. Throws `UnsafePathError` for a name that is not one plain name.
 */
export function insideFolder(folder: string, ...names: [string, ...string[]]): string {
  for (const name of names) if (!isPlain(name)) throw new UnsafePathError(name, folder);
  return join(folder, ...names);
}

function isPlain(name: string): boolean {
  return (
    name !== "" &&
    name !== "." &&
    name !== ".." &&
    !/[/\\\0]/.test(name) &&
    Buffer.byteLength(name) <= NAME_BYTES
  );
}

/**
 * Makes a folder of this agent inside another one, which may be shared with others; there already, it must be
 * the agent's own. Other users may pass through it but never write, so that nothing in it can be a link of
 * somebody else. Throws `UntrustedFolderError`.
 */
export async function makeOwnFolder(parent: string, name: string): Promise<string> {
  const path = insideFolder(parent, name);
  await mkdir(parent, { recursive: true });
  await requireSafeParent(parent);
  await mkdir(path, { mode: 0o711 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await requireOwnFolder(path);
  return path;
}

/**
 * The path of such a folder; `undefined` if there is none. Throws `UntrustedFolderError` if it is not the
 * agent's own.
 */
export async function findOwnFolder(parent: string, name: string): Promise<string | undefined> {
  const path = insideFolder(parent, name);
  const isThere = await lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return false;
      throw error;
    },
  );
  if (!isThere) return undefined;
  await requireSafeParent(parent);
  await requireOwnFolder(path);
  return path;
}

const OTHERS_WRITE = 0o002;
const GROUP_AND_OTHERS_WRITE = 0o022;
/** Only its owner may rename or remove what is in such a folder: `/tmp`. */
const STICKY = 0o1000;

async function requireSafeParent(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0) return;
  const remedy = `Take the right to write from others (chmod o-w ${path}), or choose another folder.`;
  throw new UntrustedFolderError(path, "every user of this machine may write to it", remedy);
}

async function requireOwnFolder(path: string): Promise<void> {
  const status = await lstat(path);
  const why = !status.isDirectory()
    ? "it is no folder"
    : status.uid !== process.geteuid?.()
      ? `it belongs to user ${status.uid}`
      : (status.mode & GROUP_AND_OTHERS_WRITE) !== 0
        ? "other users may write to it"
        : undefined;
  if (why) throw new UntrustedFolderError(path, why, `Move ${path} away: the agent makes its own folder.`);
}
