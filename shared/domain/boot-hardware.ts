/** The virtual hardware on which a source's clone boots. */
import type { MachineShape } from "../protocol/defined-machine.ts";
import { type Inventory, UNKNOWN } from "../protocol/inventory.ts";

/** The type of an EFI system partition in a GPT. */
export const ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
const BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649";
const MIB = 1024 * 1024;

/** What a system finds in a boot check, besides its firmware: no network. */
export const BOOT_CHECK_HARDWARE: Pick<MachineShape, "diskBus" | "cardModel" | "cards"> = {
  ...{ diskBus: "sata", cardModel: "virtio", cards: [] },
};

/**
 * The firmware that the disks expect. The machine's own disks expect the machine's firmware. An image file
 * can come from any machine, so its partitions decide: an EFI system partition without a BIOS boot partition
 * means UEFI.
 */
export function bootFirmware(inventory: Inventory | undefined, disks: readonly string[]): "bios" | "uefi" {
  const chosen = inventory?.disks.filter((disk) => disks.includes(disk.name)) ?? [];
  const kind = inventory?.firmware.kind ?? UNKNOWN;
  if (kind !== UNKNOWN && chosen.some((disk) => disk.kind === "device")) return kind;
  const types = chosen.flatMap((disk) => disk.partitions.map((partition) => partition.type));
  return types.includes(ESP_TYPE) && !types.includes(BIOS_BOOT) ? "uefi" : "bios";
}

/** Enough for any supported system to reach its login prompt, but not more than the source has. */
export function bootMemoryMiB(inventory: Inventory | undefined): number {
  const memory = inventory?.memoryBytes ?? UNKNOWN;
  if (memory === UNKNOWN) return 1024;
  return Math.min(2048, Math.max(512, Math.floor(memory / MIB)));
}
