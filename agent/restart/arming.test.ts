import { rm } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { BootArming } from "#shared/protocol/inventory.ts";
import { linuxAdapters } from "../boot-loaders/linux-loaders.ts";
import { createFakeMachine, type FakeMachineOptions } from "../boot-loaders/testing/fake-machine.ts";
import { installGrub } from "../boot-loaders/testing/grub-installation.ts";
import { MIB } from "../filesystems/testing/test-image.ts";
import { describeArming } from "./arming.ts";

const SECURE_BOOT = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

async function machineWith(options: FakeMachineOptions) {
  const machine = await createFakeMachine(options);
  onTestFinished(() => rm(machine.root, { recursive: true, force: true }));
  await installGrub(machine);
  return machine;
}

const arming = async (machine: Awaited<ReturnType<typeof machineWith>>) =>
  BootArming.array().parse(await describeArming(linuxAdapters(machine)));

test("a possible way names what is staged where, and what is free there", async () => {
  const found = await arming(await machineWith({ firmware: "uefi" }));
  expect(found[0]).toEqual({
    adapter: "boot-next",
    possible: true,
    form: "unified-kernel",
    folder: "/boot/efi/EFI/causeway/probe",
    freeBytes: 512 * MIB,
  });
});

test.each<[string, FakeMachineOptions, RegExp]>([
  ["LVM", { firmware: "bios", bootLayer: "lvm" }, /grubenv is on LVM: GRUB could not clear the entry/],
  ["software RAID", { firmware: "bios", bootLayer: "md" }, /grubenv is on software RAID/],
  ["an encrypted device", { firmware: "bios", bootLayer: "crypt" }, /grubenv is on an encrypted device/],
  ["btrfs", { firmware: "bios", bootType: "btrfs" }, /grubenv is on btrfs/],
  ["zfs", { firmware: "bios", bootType: "zfs" }, /grubenv is on zfs/],
])("with GRUB's environment on %s it says why not, and what remains", async (_, options, reason) => {
  const grub = (await arming(await machineWith(options))).find(({ adapter }) => adapter === "grub");
  expect(grub).toMatchObject({ possible: false, reason: expect.stringMatching(reason) });
  expect(grub?.fallback).toMatch(/Move \/boot.*ISO or over the network/);
});

test("an EFI system partition that is too small is reported with what is free", async () => {
  const machine = await machineWith({ firmware: "uefi" });
  machine.freeSpaceBytes = 30 * MIB;
  const [first] = await arming(machine);
  expect(first).toMatchObject({ possible: false, reason: expect.stringContaining(`${30 * MIB} free`) });
});

test("Secure Boot is left to preflight, which knows the image", async () => {
  const machine = await machineWith({ firmware: "uefi" });
  await machine.putVariable(SECURE_BOOT, Buffer.from([1]), 6);
  expect((await arming(machine))[0]).toMatchObject({ possible: true });
});
