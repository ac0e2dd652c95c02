import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UnsafePathError, UntrustedFolderError } from "#shared/errors.ts";
import { findOwnFolder, insideFolder, makeOwnFolder, safeFolder } from "./inside-folder.ts";

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "causeway-inside-"));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

test.each(["", ".", "..", "a/b", "/etc", "..\\x", "a\0", "x".repeat(256), "é".repeat(128)])(
  "%j is refused as a name, at every place of a path",
  (name) => {
    expect(() => insideFolder("/images", name)).toThrow(UnsafePathError);
    expect(() => insideFolder("/images", "cnv_1", name)).toThrow(UnsafePathError);
    expect(() => insideFolder("/images", name, "sda.raw")).toThrow(UnsafePathError);
  },
);

test("for any names, the path is inside the folder, or the names are refused", () => {
  const part = fc.oneof(
    fc.string(),
    fc.constantFrom("..", ".", "../", "cnv_1"),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(part, part, (first, second) => {
      let path: string;
      try {
        path = insideFolder("/srv/images", first, second);
      } catch (error) {
        expect(error).toBeInstanceOf(UnsafePathError);
        return;
      }
      expect(relative("/srv/images", path).split("/")).toEqual([first, second]);
    }),
    { numRuns: 1000 },
  );
});

test("a folder is created that only its owner may write to, and is found again", async () => {
  const made = await makeOwnFolder(join(parent, "images"), "cnv_1");
  expect(statSync(made).mode & 0o777).toBe(0o711);
  expect(await makeOwnFolder(join(parent, "images"), "cnv_1")).toBe(made);
  expect(await findOwnFolder(join(parent, "images"), "cnv_1")).toBe(made);
  expect(await findOwnFolder(join(parent, "images"), "cnv_2")).toBeUndefined();
  expect(await findOwnFolder(join(parent, "nowhere"), "cnv_2")).toBeUndefined();
});

test.each<[string, (path: string) => void]>([
  ["a link to another folder", (path) => symlinkSync(tmpdir(), path)],
  ["a link to nowhere", (path) => symlinkSync(`${path}-nowhere`, path)],
  [
    "a folder that other users may write to",
    (path) => {
      mkdirSync(path);
      chmodSync(path, 0o777);
    },
  ],
])("%s is neither used nor followed", async (_, plant) => {
  plant(join(parent, "cnv_1"));
  await expect(makeOwnFolder(parent, "cnv_1")).rejects.toBeInstanceOf(UntrustedFolderError);
  await expect(findOwnFolder(parent, "cnv_1")).rejects.toBeInstanceOf(UntrustedFolderError);
  expect(existsSync(join(parent, "cnv_1-nowhere"))).toBe(false);
});

test("no folder is created in a folder where every user may rename files, unless that folder is sticky", async () => {
  chmodSync(parent, 0o777);
  await expect(makeOwnFolder(parent, "cnv_1")).rejects.toMatchObject({
    name: "UntrustedFolderError",
    hint: expect.stringContaining(`chmod o-w ${parent}`),
  });
  expect(existsSync(join(parent, "cnv_1"))).toBe(false);
  chmodSync(parent, 0o1777);
  expect(existsSync(await makeOwnFolder(parent, "cnv_1"))).toBe(true);
});

test("a folder is reached by links, and below a sticky folder", async () => {
  chmodSync(parent, 0o1777);
  mkdirSync(join(parent, "own/images"), { recursive: true });
  symlinkSync("own/../own", join(parent, "relative"));
  symlinkSync(join(parent, "relative/images"), join(parent, "absolute"));
  expect(await safeFolder(join(parent, "absolute"))).toBe(join(parent, "own/images"));
  await expect(safeFolder(join(parent, "nowhere"))).rejects.toMatchObject({ code: "ENOENT" });
  symlinkSync("round", join(parent, "round"));
  await expect(safeFolder(join(parent, "round"))).rejects.toThrow("too many links");
});

test("a folder is not used if every user may rename one of the folders above it, however it is reached", async () => {
  mkdirSync(join(parent, "open/own/images"), { recursive: true });
  mkdirSync(join(parent, "safe"));
  symlinkSync(join(parent, "open/own/images"), join(parent, "into"));
  symlinkSync(join(parent, "safe"), join(parent, "open/back"));
  symlinkSync("open/back", join(parent, "through"));
  chmodSync(join(parent, "open"), 0o777);
  for (const way of ["open/own/images", "into", "open/back", "through"])
    await expect(safeFolder(join(parent, way))).rejects.toMatchObject({
      name: "UntrustedFolderError",
      hint: expect.stringContaining(`chmod o-w ${join(parent, "open")}`),
    });
});

test.runIf(process.geteuid?.() === 0)("another user's link in a sticky folder is not followed", async () => {
  chmodSync(parent, 0o1777);
  mkdirSync(join(parent, "own"));
  symlinkSync("own", join(parent, "theirs"));
  lchownSync(join(parent, "theirs"), 65534, 65534);
  await expect(safeFolder(join(parent, "theirs"))).rejects.toThrow("it is a link of the user 65534");
});
