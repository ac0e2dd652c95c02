import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { draftFolderOf, dropStale, nameDraft } from "./assembly-cache.ts";

/** A folder of assemblies, each one second younger than the one before it. */
function cacheOf(...names: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "causeway-assembly-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [index, name] of names.entries()) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "manifest.json"), "{}");
    utimesSync(join(folder, name), index, index);
  }
  return folder;
}

test("the assembly in use and the three newest others stay, whatever their names", async () => {
  const folder = cacheOf("f1", "current", "a2", "e3", "b4", "d5");
  await dropStale(folder, "current");
  expect(readdirSync(folder).sort()).toEqual(["b4", "current", "d5", "e3"]);
});

test("the draft of a killed process is removed, that of a running one is kept", async () => {
  const killed = `a1.${spawnSync(process.execPath, ["-e", ""]).pid}`;
  const folder = cacheOf(killed, draftFolderOf("b2"), "a1");
  await dropStale(folder, "c3");
  expect(readdirSync(folder).sort()).toEqual(["a1", draftFolderOf("b2")].sort());
});

test("an assembly that another process made meanwhile stays, because that one may be reading it", async () => {
  const folder = cacheOf("a1", "a1.7");
  const [made, draft] = [join(folder, "a1"), join(folder, "a1.7")];
  writeFileSync(join(made, "manifest.json"), "theirs");
  await nameDraft(draft, made);
  expect(readFileSync(join(made, "manifest.json"), "utf8")).toBe("theirs");
  expect(readdirSync(folder)).toEqual(["a1"]);
});

test("a draft takes the place of what is left of an assembly whose removal was interrupted", async () => {
  const folder = cacheOf("a1", "a1.7");
  rmSync(join(folder, "a1", "manifest.json"));
  writeFileSync(join(folder, "a1", "template.json"), "{}");
  await nameDraft(join(folder, "a1.7"), join(folder, "a1"));
  expect(readdirSync(join(folder, "a1"))).toEqual(["manifest.json"]);
});
