import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

test.each(["bios", "uefi"])(
  "a real machine on %s is cold cloned remotely: it comes back as it was, and its clone is right and boots",
  (firmware) => {
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
    expect(report.steps.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^1\./),
        expect.stringMatching(/^2\./),
        expect.stringMatching(/^3\./),
        expect.stringMatching(/^4\./),
        expect.stringMatching(/^5\./),
      ]),
    );
    expect(dirname(report.screenshot)).toContain(dir);
    rmSync(dir, { recursive: true, force: true });
  },
);
