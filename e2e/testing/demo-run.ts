import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "vitest";

/** Runs the demo of a cold clone, as a user does, and expects everything that it proves. */
export function expectColdClone(firmware: "bios" | "uefi"): void {
  const dir = mkdtempSync(join(tmpdir(), "causeway-demo-test-"));
  const file = join(dir, "report.json");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, "../demo/demo.ts"), "--firmware", firmware, "--json", file],
    { encoding: "utf8", env: { ...process.env, TMPDIR: dir } },
  );
  expect(status, stdout + stderr).toBe(0);
  const report = JSON.parse(readFileSync(file, "utf8"));
  expect(report).toMatchObject({
    ...{ ok: true, firmware, bytesEqual: true, cloneBooted: true, sourceBack: true, bootStateEqual: true },
  });
  const names = report.steps.map(({ name }: { name: string }) => name);
  for (const number of [1, 2, 3, 4, 5])
    expect(names).toContainEqual(expect.stringMatching(new RegExp(`^${number}\\.`)));
  expect(dirname(report.screenshot)).toContain(dir);
  rmSync(dir, { recursive: true, force: true });
}
