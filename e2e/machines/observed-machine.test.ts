import { expect, test } from "vitest";
import { bootDifferences, type ObservedMachine, unexpectedDifferences } from "./observed-machine.ts";

const HASH = "5f".repeat(32);
const OTHER_HASH = "a0".repeat(32);

function machineWith(files: Record<string, string>): ObservedMachine {
  return { files, outside: {}, bootVariables: {} };
}

function differences(path: string, before: string, after: string): string[] {
  const machines = [machineWith({ [path]: before }), machineWith({ [path]: after })] as const;
  return [...new Set([...bootDifferences(...machines), ...unexpectedDifferences(...machines)])];
}

test.each(["/boot/grub/grubenv", "/boot/grub2/grubenv"])(
  "%s that a system rewrites with the same content at its start is equal",
  (path) => {
    expect(differences(path, `${HASH} 644 0:0 1000`, `${HASH} 644 0:0 2000`)).toEqual([]);
  },
);

test.each([
  ["content", `${OTHER_HASH} 644 0:0 1000`],
  ["permissions", `${HASH} 600 0:0 1000`],
  ["owner", `${HASH} 644 0:7 1000`],
])("grubenv with another %s differs", (_what, after) => {
  const path = "/boot/grub/grubenv";
  expect(differences(path, `${HASH} 644 0:0 1000`, after)).toEqual([path]);
});

test.each(["/boot/grub/grub.cfg", "/boot/vmlinuz-6.12.0-amd64", "/etc/default/grub"])(
  "%s with another time differs",
  (path) => {
    expect(differences(path, `${HASH} 644 0:0 1000`, `${HASH} 644 0:0 2000`)).toEqual([path]);
  },
);
