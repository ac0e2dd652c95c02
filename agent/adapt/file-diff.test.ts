import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fileDiff } from "./file-diff.ts";

const lines = (...all: string[]) => Buffer.from(all.map((line) => `${line}\n`).join(""));

test("a diff shows what changed with the lines around it", () => {
  const before = lines("a", "b", "c", "/dev/sda2 / ext4", "d", "e", "f");
  const after = lines("a", "b", "c", "UUID=8d9c / ext4", "d", "e", "f");
  expect(fileDiff(before, after)).toBe("@@ line 2\n b\n c\n-/dev/sda2 / ext4\n+UUID=8d9c / ext4\n d\n e");
});

test("a new file, a removed one and one that is not text have their diff, too", () => {
  expect(fileDiff(undefined, lines("[Match]"))).toBe("@@ line 1\n+[Match]");
  expect(fileDiff(lines("key"), undefined)).toBe("@@ line 1\n-key");
  expect(fileDiff(Buffer.from([0, 1]), Buffer.from([0]))).toBe("2 bytes → 1 bytes");
  expect(fileDiff(lines("same"), lines("same"))).toBe("");
});

test("a diff removes and adds as many lines as diff itself", () => {
  const folder = mkdtempSync(join(tmpdir(), "file-diff-"));
  const text = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 8 });
  const count = (diff: string) => [/^-/gm, /^\+/gm].map((mark) => (diff.match(mark) ?? []).length);
  try {
    fc.assert(
      fc.property(text, text, (old, now) => {
        writeFileSync(join(folder, "old"), lines(...old));
        writeFileSync(join(folder, "now"), lines(...now));
        const args = ["--minimal", "-U0", "--label=", "--label=", join(folder, "old"), join(folder, "now")];
        const { stdout } = spawnSync("diff", args, { encoding: "utf8" });
        const real = stdout.replace(/^(---|\+\+\+).*$/gm, "");
        expect(count(fileDiff(lines(...old), lines(...now)))).toEqual(count(real));
      }),
      { numRuns: 40 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
