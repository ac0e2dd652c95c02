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

/** What a kernel lacks of the drivers for a machine. */
interface LackedDrivers {
  /** Beside the kernel, but not in its initramfs, or not known to be there; it cannot mount its root. */
  missing: readonly string[];
  /** Neither in the kernel nor beside it: it cannot start on the machine, or has no network there. */
  absent: readonly string[];
}

export function driversOf(
  { builtIn, modules, initramfs }: InstalledKernel,
  { diskBus, cards, cardModel }: WantedMachine,
): LackedDrivers {
  const forDisks = BUS_DRIVERS[diskBus];
  const needed = [...forDisks, ...(cards.length > 0 ? [CARD_DRIVERS[cardModel]] : [])];
  const inside = initramfs?.modules;
  const isInside = (driver: string) => inside !== undefined && inside !== "unknown" && inside.has(driver);
  return {
    missing: forDisks.filter((driver) => !builtIn.has(driver) && modules.has(driver) && !isInside(driver)),
    absent: needed.filter((driver) => !builtIn.has(driver) && !modules.has(driver)),
  };
}
