import type { Hypervisor } from "#shared/protocol/inventory.ts";
import { findUefiFirmware } from "../hypervisor/uefi-firmware.ts";
import { clip, type Machine } from "../machine/machine.ts";

/** What this machine can do as a target host that keeps its images in `imagesPath`. */
export async function collectHypervisor(machine: Machine, imagesPath: string): Promise<Hypervisor> {
  const version = (await machine.run("qemu-system-x86_64", "--version"))?.output;
  const qemuVersion = /version (\S+)/.exec(version ?? "")?.[1];
  const imagesFreeBytes = await machine.freeBytes(imagesPath);
  return {
    ...(qemuVersion && { qemuVersion: clip(qemuVersion) }),
    uefiFirmware: await findUefiFirmware().then(
      () => true,
      () => false,
    ),
    imagesPath,
    ...(imagesFreeBytes !== undefined && { imagesFreeBytes }),
  };
}
