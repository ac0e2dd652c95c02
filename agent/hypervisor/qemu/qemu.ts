import { clip } from "../../machine/machine.ts";
import { bootCheck } from "../boot-check.ts";
import type { GuestStarter } from "../guest.ts";
import type { Hypervisor } from "../hypervisor.ts";
import { QEMU_PROGRAM, QemuMachine } from "./qemu-machine.ts";
import { findUefiFirmware } from "./uefi-firmware.ts";

const starter: GuestStarter = {
  name: "QEMU",
  // Translated code, tables, firmware.
  overheadMiB: 384,
  start: (options) => QemuMachine.start(options),
};

/** QEMU, in software emulation. */
export const qemu: Hypervisor = {
  async describe(machine) {
    const output = (await machine.run(QEMU_PROGRAM, "--version"))?.output;
    const version = /version (\S+)/.exec(output ?? "")?.[1];
    if (version === undefined) return undefined;
    const uefiFirmware = await findUefiFirmware().then(
      () => true,
      () => false,
    );
    return { kind: "qemu", version: clip(version), uefiFirmware };
  },
  bootCheck: (options) => bootCheck(options, starter),
};
