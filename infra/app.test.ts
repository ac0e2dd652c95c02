/** The program that synthesizes the cloud assembly. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-synthesis-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Synthesizes into a folder; resolves with the exit code. */
async function synthesize(outdir: string): Promise<number | null> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "app.ts")], {
    env: { ...process.env, CDK_OUTDIR: outdir },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code] = await once(child, "exit");
  return code;
}

/** The code of each function in an assembly: its file and size. */
function functions(outdir: string): string[] {
  const files = globSync("asset.*/index.mjs", { cwd: outdir }).sort();
  return files.map((file) => `${file} ${statSync(join(outdir, file)).size}`);
}

test("two assemblies that are synthesized at once each have every function whole", async () => {
  const [one, other] = [join(dir, "one"), join(dir, "other")];
  expect(await Promise.all([synthesize(one), synthesize(other)])).toEqual([0, 0]);
  const assets = globSync("asset.*", { cwd: one });
  expect(assets.length).toBeGreaterThan(40);
  expect(functions(one)).toHaveLength(assets.length);
  expect(functions(other)).toEqual(functions(one));
});
