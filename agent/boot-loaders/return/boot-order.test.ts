import { expect, test } from "vitest";
import type { DevicePathNode } from "../device-path.ts";
import type { LoadOption } from "../load-option.ts";
import { type BootOrder, judgeBootOrder } from "./boot-order.ts";

const drive = (guid: string): DevicePathNode => ({
  kind: "hard-drive",
  partition: { number: 1, startBlock: 1n, blocks: 1n, signature: { format: "gpt", guid } },
});
const file = (path: string): DevicePathNode => ({ kind: "file", path });
const node = (type: number, subType: number): DevicePathNode => ({
  kind: "other",
  type,
  subType,
  data: Buffer.alloc(6),
});

function option(
  label: string,
  path: readonly DevicePathNode[],
  change: Partial<LoadOption> = {},
): LoadOption {
  return {
    active: true,
    hidden: false,
    otherAttributes: 0,
    label,
    path,
    optionalData: Buffer.alloc(0),
    ...change,
  };
}

const ESP = "3f1c2d4e-5a6b-4c7d-8e9f-0a1b2c3d4e5f";
const OPTIONS: Record<number, LoadOption> = {
  0: option("debian", [drive(ESP), file("\\EFI\\debian\\shimx64.efi")]),
  1: option("PXE", [node(2, 1), node(3, 11), node(3, 12)]),
  2: option("Windows Boot Manager", [drive(ESP), file("\\EFI\\Microsoft\\Boot\\bootmgfw.efi")]),
  3: option("Setup", [node(4, 7), node(4, 6)], { otherAttributes: 0x100 }),
  4: option("off", [drive(ESP), file("\\EFI\\off.efi")], { active: false }),
  5: option("debian again", [drive(ESP), file("\\EFI\\DEBIAN\\shimx64.efi")]),
  6: option("gone", [drive(ESP), file("\\EFI\\gone.efi")]),
  7: option("EFI Internal Shell", [node(4, 7), node(4, 6)]),
  8: option("CD", [node(2, 1), node(3, 1), node(4, 2)]),
  10: option("UEFI QEMU HARDDISK", [node(2, 1), node(1, 1), node(3, 18)]),
};

const boot = (current: number | undefined, order: number[] | undefined): BootOrder => ({
  ...{
    current,
    order,
    options: new Map(Object.entries(OPTIONS).map(([key, value]) => [Number(key), value])),
  },
  dead: new Set([6]),
});

test.each<[string, BootOrder, string, string[]]>([
  ["this system first", boot(0, [0, 1, 2]), "unattended", []],
  ["a network first", boot(0, [1, 8, 0]), "unattended", ["PXE", "CD"]],
  ["a whole disk first", boot(0, [10, 0]), "unattended", ["UEFI QEMU HARDDISK"]],
  ["another system first", boot(0, [2, 0]), "attended", []],
  ["a shell first", boot(0, [7, 0]), "attended", []],
  ["programs that are not started by themselves", boot(0, [3, 4, 0]), "unattended", []],
  ["the same loader twice", boot(0, [5, 0]), "unattended", []],
  ["an entry whose file is missing", boot(0, [6, 0]), "unattended", []],
  ["an entry that cannot be read", boot(0, [9, 0]), "unknown", []],
  ["the entry that started it left out", boot(0, [1, 2]), "attended", []],
  ["no current entry", boot(undefined, [0]), "unknown", []],
  ["no order", boot(0, undefined), "unknown", []],
])("a firmware with %s", (_, given, verdict, before) => {
  const { nextStart, triedBefore } = judgeBootOrder(given);
  expect([nextStart.verdict, triedBefore]).toEqual([verdict, before]);
});
