import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FolderFileDamagedError, FolderTooNewError } from "./errors.ts";
import { recordVersion } from "./version.ts";

let folder: string;
const note = () => readFileSync(join(folder, "version.json"), "utf8");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "version-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a folder remembers the newest version that worked on it", () => {
  recordVersion(folder, "0.9.0");
  recordVersion(folder, "0.10.0");
  expect(note()).toBe('{"writtenBy":"0.10.0"}\n');
});

test.each(["0.9.9", "0.10.0", "0.9.10"])("version %s refuses a folder that 0.10.1 wrote", (older) => {
  recordVersion(folder, "0.10.1");
  expect(() => recordVersion(folder, older)).toThrow(new FolderTooNewError(folder, "0.10.1", older));
  expect(note()).toBe('{"writtenBy":"0.10.1"}\n');
});

test.each(["", "{}", '{"writtenBy":"soon"}', "\0\0"])(
  "a damaged note (%j) is refused and kept",
  (content) => {
    writeFileSync(join(folder, "version.json"), content);
    expect(() => recordVersion(folder, "0.1.0")).toThrow(FolderFileDamagedError);
    expect(note()).toBe(content);
  },
);
