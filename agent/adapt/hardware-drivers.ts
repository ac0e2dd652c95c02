import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import type { InstalledKernel } from "./captured-system.ts";

/** What a kernel needs before it can mount its root. */
const BUS_DRIVERS: Readonly<Record<WantedMachine["diskBus"], readonly string[]>> = {
  virtio: ["virtio_pci", "virtio_blk"],
  scsi: ["virtio_pci", "virtio_scsi", "sd_mod"],
  sata: ["ahci", "sd_mod"],
  ide: ["ata_piix", "sd_mod"],
};

const CARD_DRIVERS: Readonly<Record<WantedMachine["cardModel"], string>> = {
  virtio: "virtio_net",
  e1000: "e1000",
};

export function diskDrivers({ diskBus }: Pick<WantedMachine, "diskBus">): readonly string[] {
  return BUS_DRIVERS[diskBus];
}

export interface KernelDrivers {
  /** Drivers that the kernel itself does not have, so its initramfs must. */
  asModules: readonly string[];
  /** Of these, what its initramfs lacks or may lack. */
  lacking: readonly string[];
  /** Neither in the kernel nor beside it: it cannot start on the machine, or has no network there. */
  absent: readonly string[];
}

export function driversOf(kernel: InstalledKernel, wanted: WantedMachine): KernelDrivers {
  const isThere = (driver: string) => kernel.builtIn.has(driver) || kernel.modules.has(driver);
  const asModules = diskDrivers(wanted).filter((driver) => !kernel.builtIn.has(driver));
  const inside = kernel.initramfs?.modules;
  const lacking = asModules.filter(
    (driver) => inside === undefined || inside === "unknown" || !inside.has(driver),
  );
  const needed = [
    ...diskDrivers(wanted),
    ...(wanted.cards.length > 0 ? [CARD_DRIVERS[wanted.cardModel]] : []),
  ];
  return { asModules, lacking, absent: needed.filter((driver) => !isThere(driver)) };
}
