import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BackupSourceError, backUp } from "./backup.ts";
import { BackupDestinationError } from "./destination.ts";

let folder: string;
let directory: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "causeway-backup-"));
  directory = join(folder, "cloud");
  await mkdir(join(directory, "kms"), { recursive: true });
  await mkdir(join(directory, "s3/buckets/b"), { recursive: true });
  await writeFile(join(directory, "kms/keys.json"), "keys");
  await writeFile(join(directory, "port"), "1");
  await writeFile(join(directory, "s3/buckets/b/content@1"), "content");
  new DatabaseSync(join(directory, "iam.sqlite")).close();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Both paths are relative to the test's folder. */
function backUpTo(data: string, keys: string): Promise<void> {
  const snapshotInto = (file: string): AsyncDisposable => {
    new DatabaseSync(file).close();
    return { [Symbol.asyncDispose]: async () => {} };
  };
  const tables = { snapshot: () => async () => {} };
  const to = { data: join(folder, data), keys: join(folder, keys) };
  return backUp({ directory, tables, s3: { snapshotInto } }, to, () => {});
}

test("only its owner can read a backup, whatever the permissions of the copied files", async () => {
  await backUpTo("to/data", "to/keys");
  expect(await readdir(join(folder, "to/keys"), { recursive: true })).toEqual(["kms", "kms/keys.json"]);
  const entries = readdirSync(join(folder, "to"), { recursive: true, withFileTypes: true });
  expect(entries.length).toBeGreaterThan(8);
  for (const entry of entries) {
    const mode = statSync(join(entry.parentPath, entry.name)).mode & 0o777;
    expect([entry.name, mode]).toEqual([entry.name, entry.isDirectory() ? 0o700 : 0o600]);
  }
});

test.each([
  ["one folder for both", "to", "to"],
  ["one folder for both by two names", "to", "cloud/../to"],
  ["one folder for both by way of a link", "to", "link/to"],
  ["the keys inside the data", "to", "to/keys"],
  ["the data inside the keys", "to/data", "to"],
  ["the keys where the data is on its way", "to", "to.partial"],
  ["the data inside the folder that is copied", "cloud/backup", "keys"],
  ["the keys inside the folder that is copied", "to", "cloud/keys"],
  ["the keys inside it by way of a link", "to", "link/cloud/keys"],
  ["a link that leads nowhere", "dangling", "keys"],
])("a destination is refused before anything is written: %s", async (_, data, keys) => {
  await symlink(folder, join(folder, "link"));
  await symlink("nowhere", join(folder, "dangling"));
  const before = readdirSync(folder, { recursive: true });
  await expect(backUpTo(data, keys)).rejects.toThrow(BackupDestinationError);
  expect(readdirSync(folder, { recursive: true })).toEqual(before);
});

test("what an unfinished backup left is removed, and a foreign file with such a name is kept and reported", async () => {
  await mkdir(join(folder, "data.partial"));
  await writeFile(join(folder, "keys.partial"), "somebody's");
  await expect(backUpTo("data", "keys")).rejects.toThrow(`${folder}/keys.partial exists already`);
  await rm(join(folder, "keys.partial"));
  await backUpTo("data", "keys");
  expect(existsSync(join(folder, "data.partial"))).toBe(false);
});

test.each(["kms/more.json", "kms-elsewhere", "s3/buckets/c", ".hidden"])(
  "a link that a backup would leave out is refused and named: %s",
  async (name) => {
    await symlink(join(folder, "elsewhere"), join(directory, name));
    await expect(backUpTo("data", "keys")).rejects.toThrow(new BackupSourceError(join(directory, name)));
    expect(existsSync(join(folder, "data"))).toBe(false);
  },
);

test("contents that a link keeps on another disk are copied", async () => {
  await rm(join(directory, "s3"), { recursive: true });
  await mkdir(join(folder, "disk/buckets/b"), { recursive: true });
  await writeFile(join(folder, "disk/buckets/b/content@1"), "content");
  await symlink(join(folder, "disk"), join(directory, "s3"));
  await backUpTo("data", "keys");
  expect(existsSync(join(folder, "data/s3/buckets/b/content@1"))).toBe(true);
});
