import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import type { CapturedSystem, InstalledKernel, SystemVolume } from "../captured-system.ts";
import { planAdaptation } from "../plan.ts";

export const ROOT_UUID = "8d9c4a5e-6a86-4f0c-9a55-0c9d6d2a7f10";
export const SWAP_UUID = "70431c91-96ec-4864-b9b3-45069d54459c";
const ESP_UUID = "C0DE-CA55";
export const LUKS_UUID = "f8e00ba8-e6b6-446a-a37a-1acfcfafc679";
const RAW_PART_UUID = "e4086903-5e38-4f57-beca-e06a05223493";

/** An ESP, a root, swap, LUKS, and a partition with nothing recognisable, on one disk. */
const VOLUMES: readonly SystemVolume[] = [
  { disk: "sda", partition: 1, type: "vfat", uuid: ESP_UUID },
  { disk: "sda", partition: 2, type: "ext4", uuid: ROOT_UUID },
  { disk: "sda", partition: 3, type: "swap", uuid: SWAP_UUID },
  { disk: "sda", partition: 4, type: "crypto_LUKS", uuid: LUKS_UUID },
  { disk: "sda", partition: 5, partUuid: RAW_PART_UUID },
  { logical: { group: "ubuntu-vg", volume: "ubuntu-lv" }, type: "ext4", uuid: "0aa0" },
];

const NEW_DRIVERS = [
  "virtio_pci",
  "virtio_blk",
  "virtio_scsi",
  "virtio_net",
  "ahci",
  "sd_mod",
  "ata_piix",
  "e1000",
];

/** A kernel of Debian 12, all of whose drivers are in its initramfs. */
export function aKernel(
  initramfs: readonly string[] = NEW_DRIVERS,
  version = "6.1.0-18-amd64",
): InstalledKernel {
  return {
    version,
    builtIn: new Set(["ext4"]),
    modules: new Set(NEW_DRIVERS),
    initramfs: { path: `/boot/initrd.img-${version}`, modules: new Set(initramfs) },
  };
}

interface SystemParts extends Partial<Omit<CapturedSystem, "files" | "units" | "programs">> {
  files?: Record<string, string>;
  units?: readonly string[];
  programs?: readonly string[];
}

const PROGRAMS = ["/usr/lib/systemd/systemd-udevd", "/usr/sbin/update-initramfs", "/usr/bin/ssh-keygen"];

export function aSystem({
  files = {},
  units = [],
  programs = PROGRAMS,
  ...parts
}: SystemParts): CapturedSystem {
  return {
    volumes: VOLUMES,
    disks: [{ name: "sda", serial: "S3Z8NB0K123456", wwid: "naa.600508b1001c4d5e", isOnly: true }],
    kernels: [aKernel()],
    ...parts,
    files: new Map(
      Object.entries(files).map(([path, text]) => [
        path,
        { content: Buffer.from(text, "latin1"), mode: 0o640 },
      ]),
    ),
    units: new Set(units),
    programs: new Set(programs),
  };
}

export function aWantedMachine(parts: Partial<WantedMachine> = {}): WantedMachine {
  return {
    ...{ diskBus: "virtio", firmware: "bios", cardModel: "virtio", cards: [] },
    ...{ machineId: "kept", hostKeys: "kept", purpose: "production" },
    ...parts,
  };
}

/** What the plan makes of each file; `null` for one that it removes. Files that stay are left out. */
export function adaptedFiles(
  parts: SystemParts,
  wanted: Partial<WantedMachine> = {},
): { files: Record<string, string | null>; notes: string[]; commands: string[] } {
  const plan = planAdaptation(aSystem(parts), aWantedMachine(wanted));
  return {
    files: Object.fromEntries(
      plan.changes.map(({ path, after }) => [path, after?.toString("latin1") ?? null]),
    ),
    notes: plan.notes,
    commands: plan.runs.map(({ command }) => command.join(" ")),
  };
}
