import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { replaceOwnFile } from "./replace-own-file.ts";

test("a file is replaced as a whole, readable by its owner only, and a draft that was broken off is overwritten", () => {
  const folder = mkdtempSync(join(tmpdir(), "replace-"));
  const file = join(folder, "note.json");
  writeFileSync(`${file}.new`, "a longer draft that was broken off");
  replaceOwnFile(file, "first");
  replaceOwnFile(file, "second");
  expect(readFileSync(file, "utf8")).toBe("second");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["note.json"]);
  rmSync(folder, { recursive: true });
});
