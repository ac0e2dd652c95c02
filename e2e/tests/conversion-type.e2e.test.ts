/** Adds a type of conversion as CONTRIBUTING.md describes: one row and one workflow. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { firstDifference } from "../site/compare.ts";
import { Installation } from "../site/installation.ts";
import { writeTestDisk } from "../testing/disk-content.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const PRODUCT = ["agent", "cli", "functions", "infra", "local", "shared", "statemachines"];
const FILES = ["package.json", "package-lock.json", "cdk.json", "tsconfig.json"];

const ROW = `const rows = {
  rehearsal: {
    capture: "rehearsal-capture",
    sourceSystem: "original",
    restartsSource: false,
    steps: COPY_STEPS,
    rules: ["unused-disks"],
    summary: "a clone to try things on",
  },`;

let scratch: string;
let copy: string;
let installation: Installation;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "causeway-fifth-type-"));
  copy = join(scratch, "tree");
  for (const name of [...PRODUCT, ...FILES])
    await cp(join(root, name), join(copy, name), { recursive: true });
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  const table = join(copy, "shared/protocol/conversion-types.ts");
  const before = await readFile(table, "utf8");
  const after = before.replace("const rows = {", ROW);
  expect(after).not.toBe(before);
  await writeFile(table, after);
  await cp(
    join(copy, "statemachines/hot-capture.asl.json"),
    join(copy, "statemachines/rehearsal-capture.asl.json"),
  );
  installation = new Installation(join(scratch, "site"), join(copy, "cli/main.ts"));
});
afterAll(async () => {
  await installation?.stop();
  if (scratch) await rm(scratch, { recursive: true, force: true });
});

async function compile(): Promise<void> {
  const { stdout } = await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc")], {
    cwd: copy,
  }).catch((error: { stdout: string }) => error);
  expect(stdout).toBe("");
}

async function convert(): Promise<void> {
  const disk = join(scratch, "disk.img");
  await installation.up();
  await writeTestDisk(disk, 4 * 1024 * 1024, "rehearsed");
  await installation.enrol("source", "source", ["--disk", `disk=${disk}`]);
  await installation.enrol("target", "target", ["--images", join(scratch, "images")]);
  const [source, target] = await Promise.all([installation.source(), installation.target()]);

  const help = await installation.cli(["convert", "--help"]);
  expect(help.stdout).toContain("rehearsal: a clone to try things on");
  const words = [source.id, "--type", "rehearsal", "--target", target.id];
  expect(await installation.json(["preflight", ...words])).toMatchObject({ ok: true });
  const ended = (await installation.json(["convert", ...words, "--format", "raw", "--wait"])) as {
    result: { disks: { path: string }[] };
  };
  expect(ended).toMatchObject({ type: "rehearsal", state: "completed" });
  expect(await firstDifference(disk, ended.result.disks[0]?.path ?? "")).toBeUndefined();
}

test("a type of conversion that is one row and one workflow compiles, is deployed, and converts", async () => {
  await Promise.all([compile(), convert()]);
});
