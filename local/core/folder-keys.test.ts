import { mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { recordFolderKeys } from "./folder-keys.ts";

test("the list of a folder's keys is written again only when they have changed", () => {
  const folder = mkdtempSync(join(tmpdir(), "causeway-folder-keys-"));
  const list = join(folder, "keys-of-this-folder.json");
  const withKeys = (...materials: string[]) =>
    writeFileSync(
      join(folder, "kms", "keys.json"),
      JSON.stringify({ keys: { one: materials.map((material) => ({ material })) } }),
    );
  mkdirSync(join(folder, "kms"));
  withKeys("a");
  recordFolderKeys(folder);
  const first = { inode: statSync(list).ino, text: readFileSync(list, "utf8") };
  recordFolderKeys(folder);
  expect(statSync(list).ino).toBe(first.inode);
  withKeys("a", "b");
  recordFolderKeys(folder);
  expect(readFileSync(list, "utf8")).not.toBe(first.text);
});
