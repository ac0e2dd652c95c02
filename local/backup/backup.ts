import { type Dirent, existsSync, globSync } from "node:fs";
import { constants, copyFile, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { S3 } from "../s3/s3.ts";

/** Where a backup goes. Both directories are made and must not exist before. */
export interface BackupDestination {
  /** Everything but the keys. */
  data: string;
  /** The keys: kept apart, since with them everything can be read. */
  keys: string;
}

/** A backup does not overwrite. */
export class BackupDestinationError extends Error {
  override readonly name = "BackupDestinationError";
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
 * Files of keys, and what makes no sense in a copy: locks, and logs. All other files that are not databases
 * are copied.
 */
const KEY_FILES = /^(kms\/|iot\/authority\/|cognito\/)/;
const LEFT_OUT = /^(lock\.(sqlite|json)|control\.sock|logs\/|dynamodb\/|s3\/)|\.new$|-(wal|shm|journal)$/;
const DATABASE = /\.sqlite$/;
const DRAFT = ".partial";

/**
 * Copies a running embedded cloud as it is at one instant. Started on the copy with its keys put back, it
 * continues as it would after `kill -9` at that instant. Both directories appear under their names only when
 * they are complete and durable.
 */
export async function backUp(
  source: BackupSource,
  to: BackupDestination,
  onProgress: (progress: BackupProgress) => void,
): Promise<void> {
  for (const path of [to.data, to.keys])
    if (existsSync(path)) throw new BackupDestinationError(`${path} exists already`);
  const drafts = { data: `${to.data}${DRAFT}`, keys: `${to.keys}${DRAFT}` };
  for (const draft of Object.values(drafts)) {
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true, mode: 0o700 });
  }
  const { directory } = source;
  const files = globSync("**", { cwd: directory, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => pathOf(directory, entry))
    .filter((path) => !LEFT_OUT.test(path));
  const databases = files.filter((path) => DATABASE.test(path));
  for (const path of ["s3/metadata.sqlite", ...databases]) await mkdir(dirname(join(drafts.data, path)), OWN);
  // One instant: nothing of this process runs between these three statements.
  const writeTables = source.tables.snapshot();
  await using _held = source.s3.snapshotInto(join(drafts.data, "s3", "metadata.sqlite"));
  for (const path of databases) snapshotDatabase(join(directory, path), join(drafts.data, path));

  await writeTables(join(drafts.data, "dynamodb"));
  for (const path of files.filter((each) => !DATABASE.test(each)))
    await copy(directory, KEY_FILES.test(path) ? drafts.keys : drafts.data, path);
  await copyContents(directory, drafts.data, onProgress);
  for (const name of ["data", "keys"] as const) {
    await syncFolders(drafts[name]);
    await rename(drafts[name], to[name]);
    await syncFolder(dirname(to[name]));
  }
}

const OWN = { recursive: true, mode: 0o700 } as const;

/**
 * S3's contents never change under their names, and none goes while the backup holds them; those that come
 * meanwhile are garbage in the copy.
 */
async function copyContents(
  from: string,
  to: string,
  onProgress: (progress: BackupProgress) => void,
): Promise<void> {
  const contents = join("s3", "buckets");
  const entries = await readdir(join(from, contents), { recursive: true, withFileTypes: true });
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

function snapshotDatabase(file: string, to: string): void {
  const database = new DatabaseSync(file);
  try {
    database.prepare("VACUUM INTO ?").run(to);
  } finally {
    database.close();
  }
}

/** Shares the blocks where the file system can. */
async function copy(from: string, to: string, path: string): Promise<void> {
  const target = join(to, path);
  await mkdir(dirname(target), OWN);
  await copyFile(join(from, path), target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
}

function pathOf(root: string, entry: Dirent): string {
  return join(relative(root, entry.parentPath), entry.name);
}

async function syncFolders(root: string): Promise<void> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  for (const entry of entries) await syncFolder(join(entry.parentPath, entry.name));
  await syncFolder(root);
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
