import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const LIMIT_MS = 5_400_000;
const PROGRAM = join(import.meta.dirname, "../demo/demo.ts");

test.each([
  {
    name: "a database server that a client writes to is moved to libvirt with every row, and its source stays fenced",
    words: ["--cutover"],
    proved: {
      ...{ ok: true, proved: true, rowsMissing: 0, sourceFenced: true },
      forecast: { outageSeconds: expect.any(Number), low: expect.any(Number), high: expect.any(Number) },
      states: expect.arrayContaining([{ name: "checking", seconds: expect.any(Number) }]),
    },
  },
  {
    name: "if the new machine fails its health check, the source serves again, and its standby is copied no second time",
    words: ["--cutover", "--fail", "health-check"],
    proved: { ok: true, rowsMissing: 0, sourceServes: true, state: "rolled-back" },
  },
])(
  "$name",
  ({ words, proved }) => {
    const dir = mkdtempSync(join(tmpdir(), "causeway-cutover-demo-test-"));
    // libvirt's user passes through it to the machine's disks.
    chmodSync(dir, 0o711);
    const file = join(dir, "report.json");
    const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...words, "--json", file], {
      encoding: "utf8",
      env: { ...process.env, TMPDIR: dir },
    });
    expect(status, stdout + stderr).toBe(0);
    const report = JSON.parse(readFileSync(file, "utf8"));
    expect(report).toMatchObject(proved);
    expect(report.rowsAcknowledged).toBeGreaterThan(0);
    expect(report.rowsFound).toBeGreaterThanOrEqual(report.rowsAcknowledged);
    expect(report.outageSeconds).toBeGreaterThan(0);
    rmSync(dir, { recursive: true, force: true });
  },
  LIMIT_MS,
);
