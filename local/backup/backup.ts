import { type Dirent, readdirSync } from "node:fs";
import { chmod, constants, copyFile, mkdir, readdir, rename, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { syncFolder } from "#shared/data-folder/sync-folder.ts";
import type { S3 } from "../s3/s3.ts";
import { type BackupDestination, makeDraft, requireApart } from "./destination.ts";

/** The embedded cloud's directory contains a symbolic link whose target the backup would omit. */
export class BackupSourceError extends Error {
  override readonly name = "BackupSourceError";

  constructor(path: string) {
    super(`${path} is a link, and a backup follows none`);
  }
}

export interface BackupProgress {
  bytesDone: number;
  bytesTotal: number;
}

export interface BackupSource {
  /** The embedded cloud's directory. */
  directory: string;
  tables: { snapshot(): (directory: string) => Promise<void> };
  s3: Pick<S3, "snapshotInto">;
}

/**
 * The backup copies key files separately, omits locks and logs, and copies all other files except databases.
 */
const KEY_FILES = /^(kms\/|iot\/authority\/|cognito\/)/;
const LEFT_OUT = /^(lock\.(sqlite|json)|control\.sock|logs\/|dynamodb\/|s3\/)|\.new$|-(wal|shm|journal)$/;
const DATABASE = /\.sqlite$/;
/** These directories may be links, for example to another disk. */
const MAY_BE_LINKS = /^(s3|dynamodb|logs)(\/|$)/;

/**
 * Copies a running embedded cloud as of one instant. An embedded cloud started on the copy, with its keys put
 * back, continues as it would after `kill -9` at that instant. Both directories get their final names only
 * when they are complete and durable.
 */
export async function backUp(
  source: BackupSource,
  to: BackupDestination,
  onProgress: (progress: BackupProgress) => void,
): Promise<void> {
  const { directory } = source;
  requireApart(directory, to);
  const files = filesBelow(directory).filter((path) => !LEFT_OUT.test(path));
  const drafts = { data: await makeDraft(to.data), keys: await makeDraft(to.keys) };
  const databases = files.filter((path) => DATABASE.test(path));
  for (const path of ["s3/metadata.sqlite", ...databases]) await mkdir(dirname(join(drafts.data, path)), OWN);
  // No other code of this process runs between these three statements, so they see one instant.
  const writeTables = source.tables.snapshot();
  await using _held = source.s3.snapshotInto(join(drafts.data, "s3", "metadata.sqlite"));
  for (const path of databases) snapshotDatabase(join(directory, path), join(drafts.data, path));

  await writeTables(join(drafts.data, "dynamodb"));
  for (const path of files.filter((each) => !DATABASE.test(each)))
    await copy(directory, KEY_FILES.test(path) ? drafts.keys : drafts.data, path);
  await copyContents(directory, drafts.data, onProgress);
  for (const name of ["data", "keys"] as const) {
    await closeAndSync(drafts[name]);
    await rename(drafts[name], to[name]);
    await syncFolder(dirname(to[name]));
  }
}

const OWN = { recursive: true, mode: 0o700 } as const;

/**
 * S3 never changes a content file, and it removes none during the backup. Files added during the backup are
 * garbage in the copy.
 */
async function copyContents(
  from: string,
  to: string,
  onProgress: (progress: BackupProgress) => void,
): Promise<void> {
  const contents = join("s3", "buckets");
  const entries = await readdir(join(from, contents), { recursive: true, withFileTypes: true });
  const link = entries.find((entry) => entry.isSymbolicLink());
  if (link) throw new BackupSourceError(join(link.parentPath, link.name));
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => pathOf(from, entry));
  const sizes = await Promise.all(paths.map(async (path) => (await stat(join(from, path))).size));
  const progress = { bytesDone: 0, bytesTotal: sizes.reduce((sum, size) => sum + size, 0) };
  onProgress({ ...progress });
  for (const [index, path] of paths.entries()) {
    await copy(from, to, path);
    progress.bytesDone += sizes[index] ?? 0;
    onProgress({ ...progress });
  }
}

/** Relative paths. Throws `BackupSourceError`. */
function filesBelow(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => {
    const path = pathOf(directory, entry);
    if (entry.isSymbolicLink() && !MAY_BE_LINKS.test(path))
      throw new BackupSourceError(join(directory, path));
    return entry.isFile() ? [path] : [];
  });
}

function snapshotDatabase(file: string, to: string): void {
  const database = new DatabaseSync(file);
  try {
    database.prepare("VACUUM INTO ?").run(to);
  } finally {
    database.close();
  }
}

/** Shares blocks with the original if the file system supports it. */
async function copy(from: string, to: string, path: string): Promise<void> {
  const target = join(to, path);
  await mkdir(dirname(target), OWN);
  await copyFile(join(from, path), target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
}

function pathOf(root: string, entry: Dirent): string {
  return join(relative(root, entry.parentPath), entry.name);
}

/**
 * Makes the tree durable and restricts every file to its owner, so that later copies keep these permissions.
 */
async function closeAndSync(root: string): Promise<void> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    await chmod(path, entry.isDirectory() ? 0o700 : 0o600);
    // A file, too, is synced so.
    await syncFolder(path);
  }
  await syncFolder(root);
}
