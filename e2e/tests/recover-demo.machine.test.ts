import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { recoveryRunbook } from "../demo/runbook.ts";

const LIMIT_MS = 3_600_000;

test(
  "a database server whose power is cut is recovered by the runbook, word for word, with every row of its last point",
  () => {
    const dir = mkdtempSync(join(tmpdir(), "causeway-recover-demo-test-"));
    // libvirt's user passes through it to the recovered disks.
    chmodSync(dir, 0o711);
    const file = join(dir, "report.json");
    const program = join(import.meta.dirname, "../demo/demo.ts");
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "--recover", "--json", file], {
      encoding: "utf8",
      env: { ...process.env, TMPDIR: dir },
    });
    expect(status, stdout + stderr).toBe(0);
    const report = JSON.parse(readFileSync(file, "utf8"));
    expect(report).toMatchObject({ ok: true, rowsMissing: 0, rowsTooLate: 0 });
    expect(report.rtoSeconds).toBeGreaterThan(0);
    expect(report.rowsLost).toBeGreaterThan(0);
    const typed = recoveryRunbook().map((line) => expect.stringMatching(asPattern(line)));
    expect(report.commands).toEqual(typed);
    rmSync(dir, { recursive: true, force: true });
  },
  LIMIT_MS,
);

/** The line with anything in place of a placeholder. */
function asPattern(line: string): RegExp {
  const words = line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").split(/\b[A-Z]{4,}\b/);
  return new RegExp(`^${words.join(".+")}$`);
}
