import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const demo = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, "demo.ts"), ...args], { encoding: "utf8" });

test("the demo's help has its options, an example and its exit codes", () => {
  const { status, stdout } = demo("--help");
  expect(status).toBe(0);
  for (const word of [
    "--protect",
    "--recover",
    "--cutover",
    "--hypervisor",
    "--fail",
    "--firmware",
    "--json FILE",
    "Example: ",
    "Exit codes: ",
  ])
    expect(stdout).toContain(word);
});

test.each([
  ["--firmware", "vax"],
  ["--protect", "--firmware", "uefi"],
  ["--protect", "--recover"],
  ["--recover", "--cutover"],
  ["--fail", "health-check"],
  ["--cutover", "--fail=anything"],
  ["--hypervisor", "qemu"],
  ["--cutover", "--hypervisor=xen"],
  ["--unknown"],
])("the demo refuses %s %s", (...args) => {
  expect(demo(...args)).toMatchObject({
    status: 2,
    stdout: "",
    stderr: expect.stringContaining("usage: "),
  });
});
