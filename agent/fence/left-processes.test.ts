import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { hasProcesses } from "./left-processes.ts";

const GROUP = "/system.slice/postgresql.service";
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "causeway-cgroup-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A file of the group, in this hierarchy. */
function write(tree: string, name: string, text: string): void {
  mkdirSync(join(root, tree, GROUP), { recursive: true });
  writeFileSync(join(root, tree, GROUP, name), text);
}

test.each([
  ["", "cgroup.events", "populated 1\nfrozen 0\n", true],
  ["", "cgroup.events", "populated 0\nfrozen 0\n", false],
  ["unified", "cgroup.events", "populated 1\n", true],
  ["systemd", "cgroup.procs", "4711\n", true],
  ["systemd", "cgroup.procs", "", false],
])("a control group has processes if its kernel says so (%j %s %j)", async (tree, name, text, has) => {
  write(tree, name, text);
  expect(await hasProcesses(GROUP, root)).toBe(has);
});

test("a control group that is gone has no processes", async () => {
  expect(await hasProcesses(GROUP, root)).toBe(false);
});
