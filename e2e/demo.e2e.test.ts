import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

test.each(["bios", "uefi"])(
  "a real Debian disk for %s is converted, equal in every byte, and boots",
  (firmware) => {
    const dir = mkdtempSync(join(tmpdir(), "causeway-demo-test-"));
    const file = join(dir, "report.json");
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, "demo.ts"), "--firmware", firmware, "--json", file],
      { encoding: "utf8", env: { ...process.env, TMPDIR: dir } },
    );
    expect(status, stdout + stderr).toBe(0);
    const report = JSON.parse(readFileSync(file, "utf8"));
    expect(report).toMatchObject({ ok: true, bytesEqual: true, cloneBooted: true, firmware });
    expect(report.bytesRead).toBeLessThan(report.diskBytes / 2);
    expect(dirname(report.screenshot)).toContain(dir);
    rmSync(dir, { recursive: true, force: true });
  },
);
