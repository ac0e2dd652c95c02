import { expect, test } from "vitest";
import { bootFirmware, bootMemoryMiB } from "./boot-hardware.ts";
import { aDisk, anInventory } from "./testing/records.ts";

const partition = (type: string) => ({
  number: 1,
  offsetBytes: 1048576,
  sizeBytes: 1048576,
  type,
  bootable: false,
  content: { type: "none" },
  mountPoints: [],
});
const esp = partition("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
const biosBoot = partition("21686148-6449-6e6f-744e-656564454649");
const uefiMachine = { firmware: { kind: "uefi" as const, secureBoot: "disabled" as const } };

test("a machine's own disk boots on the machine's firmware", () => {
  expect(bootFirmware(anInventory(uefiMachine), ["vda"])).toBe("uefi");
});

test.each([
  ["an EFI system partition", [esp], "uefi"],
  ["both ways to boot", [esp, biosBoot], "bios"],
  ["neither", [], "bios"],
])(
  "an image file with %s boots on what it was made for, whatever machine reads it",
  (_, partitions, expected) => {
    const image = aDisk("image", { kind: "image", partitions });
    expect(bootFirmware(anInventory({ ...uefiMachine, disks: [image] }), ["image"])).toBe(expected);
  },
);

test("the clone gets no more memory than the source has", () => {
  expect(bootMemoryMiB(anInventory({ memoryBytes: 1024 ** 3 }))).toBe(1024);
  expect(bootMemoryMiB(anInventory({ memoryBytes: 64 * 1024 ** 3 }))).toBe(2048);
  expect(bootMemoryMiB(undefined)).toBe(1024);
});
