import { lstat, mkdir, readlink, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UnsafePathError, UntrustedFolderError } from "#shared/errors.ts";

/** The longest name that file systems allow. */
const NAME_BYTES = 255;

/**
 * The path of something in a folder, by its name or by the names on the way. Every path with a part from
 * another machine is built here. Throws `UnsafePathError` for a name that is not one plain name.
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
 * Creates a folder of this agent inside another one, which may be shared with other users. If it exists
 * already, it must belong to the agent. Other users can pass through it but never write to it, so nothing in
 * it can be another user's link. Throws `UntrustedFolderError`.
 */
export async function makeOwnFolder(parent: string, name: string): Promise<string> {
  const path = insideFolder(parent, name);
  await mkdir(parent, { recursive: true });
  await safeFolder(parent);
  await mkdir(path, { mode: 0o711 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await requireOwnFolder(path);
  return path;
}

/**
 * The path of such a folder; `undefined` if there is none. Throws `UntrustedFolderError` if it does not
 * belong to the agent.
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
  await safeFolder(parent);
  await requireOwnFolder(path);
  return path;
}

const OTHERS_WRITE = 0o002;
const GROUP_AND_OTHERS_WRITE = 0o022;
/** Only the owner of a file may rename or remove it in such a folder: `/tmp`. */
const STICKY = 0o1000;

/** As many links as Linux follows in one path. */
const LINK_LIMIT = 40;

/**
 * The path of a folder without links in it. Throws `UntrustedFolderError` where another user could put
 * something else in its place, or in that of a folder or link on the way to it: between a look at a name and
 * its use that user would decide what is written to.
 */
export async function safeFolder(path: string): Promise<string> {
  let real = "/";
  let names = namesIn(resolve(path));
  for (let links = 0; ; ) {
    const { mode } = await stat(real);
    const isShared = (mode & OTHERS_WRITE) !== 0;
    if (isShared && (mode & STICKY) === 0) throw shared(real);
    const [name, ...rest] = names;
    if (name === undefined) return real;
    const next = join(real, name);
    const status = await lstat(next);
    names = rest;
    if (!status.isSymbolicLink()) {
      real = next;
      continue;
    }
    if (isShared && status.uid !== 0 && status.uid !== process.geteuid?.())
      throw foreignLink(next, status.uid);
    if (++links > LINK_LIMIT)
      throw new UntrustedFolderError(path, "it has too many links in it", "Name the folder itself.");
    const target = resolve(real, await readlink(next));
    real = "/";
    names = [...namesIn(target), ...rest];
  }
}

const namesIn = (path: string): string[] => path.split("/").filter((name) => name !== "");

function shared(path: string): UntrustedFolderError {
  const remedy = `Remove other users' write permission (chmod o-w ${path}), or choose another folder.`;
  return new UntrustedFolderError(path, "every user of this machine may write to it", remedy);
}

function foreignLink(path: string, uid: number): UntrustedFolderError {
  const why = `it is a link of the user ${uid}, who may make it lead elsewhere at any time`;
  return new UntrustedFolderError(path, why, "Name the folder that it leads to, or another one.");
}

async function requireOwnFolder(path: string): Promise<void> {
  const status = await lstat(path);
  const why = !status.isDirectory()
    ? "it is not a folder"
    : status.uid !== process.geteuid?.()
      ? `it belongs to user ${status.uid}`
      : (status.mode & GROUP_AND_OTHERS_WRITE) !== 0
        ? "other users may write to it"
        : undefined;
  if (why) throw new UntrustedFolderError(path, why, `Move ${path} away: the agent creates its own folder.`);
}
