import { expect, test } from "vitest";
import { worstOf } from "./judgement.ts";
import { judgeStarts } from "./next-start.ts";

const RUNNING = "BOOT_IMAGE=/vmlinuz root=UUID=0D6D4C5E-2b1a ro quiet";

test.each<[string, string[][], string]>([
  ["this system", [["linux", "/vmlinuz", "root=UUID=0d6d4c5e-2b1a", "ro"]], "unattended"],
  ["another kernel of this system", [["linuxefi", "/old", "root=UUID=0d6d4c5e-2b1a"]], "unattended"],
  ["another system", [["linux", "/vmlinuz", "root=UUID=1"]], "attended"],
  ["a root by another kind of name", [["linux", "/vmlinuz", "root=/dev/sda2"]], "unknown"],
  ["no root", [["linux", "/vmlinuz"]], "unknown"],
  ["a root that is unknown", [["linux", "/vmlinuz", "root=UUID=\0"]], "unknown"],
  ["another boot loader", [["chainloader", "/EFI/Microsoft/Boot/bootmgfw.efi"]], "unknown"],
  [
    "a hypervisor with this system",
    [
      ["multiboot2", "/xen.gz", "dom0_mem=4G"],
      ["module2", "/vmlinuz", "root=UUID=0d6d4c5e-2b1a"],
      ["module2", "/initrd.img"],
    ],
    "unattended",
  ],
  [
    "one of two systems",
    [
      ["linux", "/a", "root=UUID=0d6d4c5e-2b1a"],
      ["linux", "/b", "root=UUID=1"],
    ],
    "attended",
  ],
])("a default that starts %s", (_, starts, verdict) => {
  expect(worstOf(judgeStarts(starts, RUNNING)).verdict).toBe(verdict);
});
