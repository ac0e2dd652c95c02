import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { takePlace } from "./sysroot.ts";

function folderWith(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), "sysroot-"));
  writeFileSync(join(folder, "kernel"), content);
  return folder;
}

test("of two builds that unpack the same packages at the same time, both use what the first unpacked", async () => {
  const target = join(mkdtempSync(join(tmpdir(), "sysroots-")), "key");
  await takePlace(folderWith("first"), target);
  await takePlace(folderWith("second"), target);
  expect(readFileSync(join(target, "kernel"), "utf8")).toBe("first");
});

test("another problem with the cache is reported", async () => {
  const missing = join(tmpdir(), "no-such-folder", "key");
  await expect(takePlace(folderWith("first"), missing)).rejects.toThrow("ENOENT");
});
