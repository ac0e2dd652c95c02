import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const LIMIT_MS = 7_200_000;

test(
  "a database server that takes writes is protected over a restart, and its last point boots with the rows of its instant",
  () => {
    const dir = mkdtempSync(join(tmpdir(), "causeway-protect-demo-test-"));
    const file = join(dir, "report.json");
    const program = join(import.meta.dirname, "../demo/demo.ts");
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "--protect", "--json", file], {
      encoding: "utf8",
      env: { ...process.env, TMPDIR: dir },
    });
    expect(status, stdout + stderr).toBe(0);
    const report = JSON.parse(readFileSync(file, "utf8"));
    expect(report).toMatchObject({ ok: true, mode: "tracked", rowsMissing: 0, rowsTooLate: 0 });
    expect(report.points).toBeGreaterThanOrEqual(10);
    expect(report.hashScans).toBeGreaterThanOrEqual(2);
    rmSync(dir, { recursive: true, force: true });
  },
  LIMIT_MS,
);
