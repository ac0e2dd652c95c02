import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FolderNotOursError, FolderOfOthersError } from "./errors.ts";
import { makePrivateFolder } from "./private-folder.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "causeway-private-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const modeOf = (name: string) => statSync(join(folder, name)).mode & 0o777;
const asRoot = process.geteuid?.() === 0;

/** A folder that every user may read, as a copy of a backup may be. */
function openFolder(): void {
  mkdirSync(join(folder, "boot-states"), { mode: 0o755 });
  writeFileSync(join(folder, "identity.json"), "{}", { mode: 0o644 });
  writeFileSync(join(folder, "boot-states/cnv_1.json"), "{}", { mode: 0o664 });
  chmodSync(folder, 0o755);
}

test("a new folder is for its owner only, and so are the folders made above it", () => {
  makePrivateFolder(join(folder, "a/b"));
  expect(modeOf("a/b")).toBe(0o700);
  expect(modeOf("a")).toBe(0o700);
});

test("a folder that other users could read is closed, with everything in it", () => {
  openFolder();
  makePrivateFolder(folder);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(modeOf("boot-states")).toBe(0o700);
  expect(modeOf("identity.json")).toBe(0o600);
  expect(modeOf("boot-states/cnv_1.json")).toBe(0o600);
});

test("images stay readable for the programs that start them, and a link's target stays as it is", () => {
  openFolder();
  mkdirSync(join(folder, "images"), { mode: 0o755 });
  writeFileSync(join(folder, "images/sda.raw"), "", { mode: 0o644 });
  const target = `${folder}-target`;
  writeFileSync(target, "", { mode: 0o644 });
  symlinkSync(target, join(folder, "link"));
  makePrivateFolder(folder, ["images"]);
  expect(modeOf("images/sda.raw")).toBe(0o644);
  expect(statSync(target).mode & 0o777).toBe(0o644);
  rmSync(target);
});

test("a folder that serves others, named by mistake, is refused and stays as it is", () => {
  mkdirSync(join(folder, "conf"), { mode: 0o755 });
  writeFileSync(join(folder, "conf/passwd"), "", { mode: 0o644 });
  chmodSync(folder, 0o755);
  for (const _ of "12") expect(() => makePrivateFolder(folder, ["images"])).toThrow(FolderOfOthersError);
  expect([statSync(folder).mode & 0o777, modeOf("conf"), modeOf("conf/passwd")]).toEqual([
    0o755, 0o755, 0o644,
  ]);
});

test("a new file system, or one that already has images, does not count as a folder of others", () => {
  mkdirSync(join(folder, "lost+found"), { mode: 0o700 });
  mkdirSync(join(folder, "images"), { mode: 0o755 });
  chmodSync(folder, 0o755);
  makePrivateFolder(folder, ["images"]);
  expect([statSync(folder).mode & 0o777, modeOf("images")]).toEqual([0o700, 0o755]);
});

test.runIf(asRoot)("another user's folder is refused with what to do, and stays as it is", () => {
  openFolder();
  chownSync(folder, 1234, 1234);
  expect(() => makePrivateFolder(folder)).toThrow(FolderNotOursError);
  expect(() => makePrivateFolder(folder)).toThrow(`${folder} belongs to user 1234`);
  expect(statSync(folder).mode & 0o777).toBe(0o755);
});

test.runIf(asRoot)(
  "a folder in which another user put a file is refused each time, and stays as it is",
  () => {
    openFolder();
    chownSync(join(folder, "boot-states/cnv_1.json"), 1234, 1234);
    for (const _ of "12") {
      expect(() => makePrivateFolder(folder)).toThrow(
        `${folder}/boot-states/cnv_1.json belongs to user 1234`,
      );
    }
    expect(statSync(folder).mode & 0o777).toBe(0o755);
    expect(modeOf("identity.json")).toBe(0o644);
  },
);
