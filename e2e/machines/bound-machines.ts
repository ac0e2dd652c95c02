/** Debian machines of several releases and layouts, each bound to its hardware, and what they move to. */
import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { BOUND_UNITS, boundFiles, type Configurator } from "./bound-system.ts";
import type { Software, Suite } from "./disk/debian-root.ts";
import { buildLayeredDisks, type DiskLayout } from "./disk/layered-disks.ts";
import { cacheDir } from "./machine-site.ts";

export interface BoundMachine {
  name: string;
  suite: Suite;
  layout: DiskLayout;
  network: Configurator;
  /** What it moves to. */
  diskBus: Extract<WantedMachine["diskBus"], "virtio" | "scsi">;
}

export const BOUND_MACHINES: readonly BoundMachine[] = [
  {
    name: "Debian 11 on ext4, with ifupdown, BIOS",
    suite: "bullseye",
    layout: { firmware: "bios", layers: [], fileSystem: "ext4" },
    network: "ifupdown",
    diskBus: "virtio",
  },
  {
    name: "Debian 11 on LVM, with systemd-networkd, BIOS",
    suite: "bullseye",
    layout: { firmware: "bios", layers: ["lvm"], fileSystem: "ext4" },
    network: "systemd-networkd",
    diskBus: "scsi",
  },
  {
    name: "Debian 12 on ext4, with NetworkManager, UEFI",
    suite: "bookworm",
    layout: { firmware: "uefi", layers: [], fileSystem: "ext4" },
    network: "NetworkManager",
    diskBus: "virtio",
  },
  {
    name: "Debian 12 on XFS, with netplan, BIOS",
    suite: "bookworm",
    layout: { firmware: "bios", layers: [], fileSystem: "xfs" },
    network: "netplan",
    diskBus: "virtio",
  },
  {
    name: "Debian 12 on LVM in LUKS, with systemd-networkd, UEFI",
    suite: "bookworm",
    layout: { firmware: "uefi", ownBoot: true, layers: ["luks", "lvm"], fileSystem: "ext4" },
    network: "systemd-networkd",
    diskBus: "virtio",
  },
  {
    name: "Debian 12 on a mirror of two disks, with ifupdown, BIOS",
    suite: "bookworm",
    layout: { firmware: "bios", layers: ["raid1"], fileSystem: "ext4" },
    network: "ifupdown",
    diskBus: "scsi",
  },
  {
    name: "Debian 13 on btrfs, with systemd-networkd, UEFI",
    suite: "trixie",
    layout: { firmware: "uefi", layers: [], fileSystem: "btrfs" },
    network: "systemd-networkd",
    diskBus: "scsi",
  },
  {
    name: "Debian 13 on XFS in LVM, with netplan, UEFI",
    suite: "trixie",
    layout: { firmware: "uefi", layers: ["lvm"], fileSystem: "xfs" },
    network: "netplan",
    diskBus: "virtio",
  },
];

/** One installation of each release serves all of its machines. */
const SOFTWARE: Software = {
  packages: ["lvm2", "mdadm", "cryptsetup-initramfs", "xfsprogs", "btrfs-progs"],
  later: ["network-manager", "netplan.io"],
  files: {},
  modules: ["fs/xfs", "fs/btrfs"],
};
const UNITS: Readonly<Record<Configurator, readonly string[]>> = {
  ifupdown: [],
  "systemd-networkd": ["systemd-networkd.service"],
  NetworkManager: ["NetworkManager.service"],
  // It enables what it renders for.
  netplan: [],
};
/** Debian starts it wherever it is installed. */
const NETWORK_MANAGER = [
  ...["NetworkManager.service", "NetworkManager-dispatcher.service"],
  "NetworkManager-wait-online.service",
];
/**
 * A busy computer emulates the first minutes slowly. Without these, systemd waits 90 s for a device of fstab
 * and then ends in emergency mode, although the device is there.
 */
const SLOW_HARDWARE = "[Manager]\nDefaultTimeoutStartSec=15min\nDefaultDeviceTimeoutSec=15min\n";
const GRUB_DEFAULTS = [
  'GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT=""',
  'GRUB_CMDLINE_LINUX="console=tty0 console=ttyS1,57600"\nGRUB_TERMINAL=console\nGRUB_DISABLE_LINUX_UUID=true\n',
].join("\n");

/** The machine's disks: raw images that all callers share, so copy them. */
export function buildBoundMachine(
  { suite, layout, network }: BoundMachine,
  log: (line: string) => void,
): Promise<string[]> {
  const enabled = [...BOUND_UNITS, ...UNITS[network]];
  const files = {
    ...boundFiles(network, [layout.fileSystem, "crc32c_generic"]),
    "etc/default/grub": GRUB_DEFAULTS,
    "etc/systemd/system.conf.d/slow-hardware.conf": SLOW_HARDWARE,
  };
  const disabled = NETWORK_MANAGER.filter((unit) => !enabled.includes(unit));
  return buildLayeredDisks({
    ...{ suite, software: SOFTWARE, layout, cacheDir, log },
    setup: { files, enabled, disabled: network === "NetworkManager" ? [] : disabled },
  });
}
