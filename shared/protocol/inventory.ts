/**
 * What an agent knows about its machine. The agent collects it without changing anything, and reports
 * `"unknown"`, never a guess, if it cannot find something out. It must fit into one MQTT message (at most
 * 128 KiB on AWS), so every list is bounded.
 */
import * as z from "zod";
import { CheckScriptName } from "./answer-check.ts";
import { Timestamp } from "./common.ts";
import { ListedService, ServiceName } from "./fence.ts";
import { DiskName } from "./ids.ts";

const Text = z.string().max(256);
/** Of a machine with more, others may be left out. */
export const MOST_INTERFACES = 128;
const Path = z.string().max(1024);
const Bytes = z.int().nonnegative();

export const UNKNOWN = "unknown";
const orUnknown = <T extends z.ZodType>(type: T) => z.union([type, z.literal(UNKNOWN)]);

/** The content of a disk, partition, logical volume or array, by its signature. */
export const VolumeContent = z.strictObject({
  /**
   * As `blkid` names it: `ext4`, `xfs`, `ntfs`, `vfat`, `btrfs`, `swap`, `LVM2_member`,
   * `linux_raid_member`, `crypto_LUKS`, …; `none` if there is no signature.
   */
  type: orUnknown(Text),
  /** In the form that the content's own tools print: not always 36 characters. */
  uuid: Text.optional(),
  label: Text.optional(),
});
export type VolumeContent = z.infer<typeof VolumeContent>;

const MountPoints = z.array(Path).max(64);

export const Partition = z.strictObject({
  /** As in the partition table, from 1; logical MBR partitions from 5. */
  number: z.int().positive(),
  /** Absent inside an image file. */
  path: Path.optional(),
  offsetBytes: Bytes,
  sizeBytes: Bytes,
  /** GPT type GUID in lower case, or MBR type such as `0x83`. */
  type: orUnknown(Text),
  uuid: Text.optional(),
  label: Text.optional(),
  /** GPT's legacy-boot attribute or MBR's active flag. */
  bootable: z.boolean(),
  content: VolumeContent,
  mountPoints: MountPoints,
});
export type Partition = z.infer<typeof Partition>;

export const Disk = z.strictObject({
  /** What `capture-disk` calls it; unique on the machine. */
  name: DiskName,
  path: Path,
  /** `image`: a file given to the agent with `--disk NAME=PATH`. */
  kind: z.enum(["device", "image"]),
  sizeBytes: Bytes,
  logicalSectorBytes: z.int().positive(),
  physicalSectorBytes: z.int().positive(),
  model: Text.optional(),
  serial: Text.optional(),
  /** World-wide identifier as the kernel prints it: the same on every path to the disk. */
  wwid: Text.optional(),
  /** What uses it or a part of it without a mount: `dm-0`, `md127`, `loop3`, a target that exports it. */
  usedBy: z.array(Text).max(64).optional(),
  /** Several paths lead to it, which the device mapper's multipath joins. */
  multipath: z.boolean().optional(),
  /** Why a system that lacks this system's software could not find the disk again. Absent if it could. */
  unrecognisable: z.string().max(500).optional(),
  /** `sata`, `nvme`, `usb`, `virtio`, `iscsi`, … */
  transport: orUnknown(Text),
  /** The driver of its controller, as in `lsmod`. */
  driver: Text.optional(),
  rotational: orUnknown(z.boolean()),
  readOnly: z.boolean(),
  partitionTable: z.enum(["gpt", "mbr", "none", UNKNOWN]),
  /** GPT disk GUID or MBR disk signature (`0x…`). */
  partitionTableUuid: Text.optional(),
  partitions: z.array(Partition).max(128),
  /** The content of the whole disk, if it has no partition table. */
  content: VolumeContent.optional(),
  mountPoints: MountPoints,
  /** For an image: the operating system found inside, as its `os-release` names it. */
  operatingSystem: Text.optional(),
  /** Something may write to it while it is read: it is mounted, held by other devices, or swapped to. */
  inUse: z.boolean().optional(),
  /**
   * Whether it can be copied as of one instant while it is in use, as far as can be said before it is tried.
   */
  liveCopy: z.strictObject({ isPossible: z.boolean(), obstacle: z.string().max(500).optional() }).optional(),
  /** Why this agent cannot read it. Absent if it can. */
  unreadable: z.string().max(500).optional(),
  /** What could not be read, in words. */
  problems: z.array(z.string().max(500)).max(16),
});
export type Disk = z.infer<typeof Disk>;

export const LogicalVolume = z.strictObject({
  name: Text,
  path: Path,
  sizeBytes: Bytes,
  /** `linear`, `striped`, `raid1`, `thin`, `snapshot`, … */
  layout: orUnknown(Text),
  content: VolumeContent,
  mountPoints: MountPoints,
});
export type LogicalVolume = z.infer<typeof LogicalVolume>;

export const VolumeGroup = z.strictObject({
  name: Text,
  uuid: Text,
  sizeBytes: Bytes,
  freeBytes: Bytes,
  extentBytes: Bytes,
  physicalVolumes: z.array(Path).max(128),
  logicalVolumes: z.array(LogicalVolume).max(128),
});
export type VolumeGroup = z.infer<typeof VolumeGroup>;

export const RaidArray = z.strictObject({
  name: Text,
  path: Path,
  level: orUnknown(Text),
  uuid: Text.optional(),
  sizeBytes: orUnknown(Bytes),
  state: orUnknown(z.enum(["active", "inactive"])),
  /** Fewer active members than the array was made with. */
  degraded: orUnknown(z.boolean()),
  /** Device paths. */
  members: z.array(Path).max(128),
  content: VolumeContent,
  mountPoints: MountPoints,
});
export type RaidArray = z.infer<typeof RaidArray>;

/**
 * Where an address comes from. `lease`: DHCP for IPv4; `dhcpv6`; `router`: made from an advertisement;
 * `configured`: a configuration file of this machine names it; `cluster`: it moves between machines (VRRP,
 * Pacemaker, …); `doubtful`: no file names it, and it could be a cluster's; `unnamed`: no file that the
 * agent knows names it.
 */
export const AddressOrigin = z.enum([
  "lease",
  "dhcpv6",
  "router",
  "configured",
  "cluster",
  "doubtful",
  "unnamed",
]);
export type AddressOrigin = z.infer<typeof AddressOrigin>;

export const InterfaceAddress = z.strictObject({
  family: z.enum(["ipv4", "ipv6"]),
  address: Text,
  prefixLength: z.int().min(0).max(128),
  /** Whether DHCP or a router advertisement gave it, so that it has a lifetime. */
  dynamic: z.boolean(),
  origin: AddressOrigin.optional(),
});

/** The program that configures an interface, and the method, which a boot environment must reproduce. */
export const InterfaceConfiguration = z.strictObject({
  source: orUnknown(z.enum(["ifupdown", "systemd-networkd", "network-manager", "kernel"])),
  method: orUnknown(z.enum(["static", "dhcp", "none"])),
});
export type InterfaceConfiguration = z.infer<typeof InterfaceConfiguration>;

export const NetworkInterface = z.strictObject({
  name: Text,
  /** Lower case, colons. Absent if the link has none. */
  macAddress: Text.optional(),
  /** The adapter's own address, if a bond replaced it. It identifies the card after a reboot. */
  permanentMacAddress: Text.optional(),
  kind: z.enum(["ethernet", "wireless", "vlan", "bond", "bridge", "virtual", UNKNOWN]),
  state: z.enum(["up", "down", UNKNOWN]),
  mtuBytes: z.int().positive(),
  driver: Text.optional(),
  addresses: z.array(InterfaceAddress).max(32),
  configuration: InterfaceConfiguration,
  vlan: z.strictObject({ id: z.int().min(0).max(4095), parent: Text }).optional(),
  bond: z.strictObject({ mode: orUnknown(Text), members: z.array(Text).max(16) }).optional(),
  bridge: z.strictObject({ members: z.array(Text).max(64) }).optional(),
  /** What the interface belongs to: a bond, a bridge, a VRF, … */
  master: Text.optional(),
  /** The identity that its DHCP client for IPv4 sends (option 61, hexadecimal), or `none`. */
  dhcpClientId: orUnknown(z.union([z.literal("none"), z.string().regex(/^([0-9a-f]{2}){2,64}$/)])).optional(),
});
export type NetworkInterface = z.infer<typeof NetworkInterface>;

export const NetworkRoute = z.strictObject({
  /** `default` or a prefix such as `10.0.0.0/8`. */
  destination: Text,
  gateway: Text.optional(),
  device: Text,
  metric: z.int().nonnegative().optional(),
  /** Who set it, as the kernel names it: `kernel`, `boot`, `static`, `dhcp`, `ra`, `bird`, … */
  protocol: Text.optional(),
});
export type NetworkRoute = z.infer<typeof NetworkRoute>;

/** How the kernel sends to one address that the agent needs. */
export const NetworkPath = z.strictObject({
  /** The host's name or address as the agent knows it. */
  to: Text,
  use: z.enum(["control-plane", "name-server"]),
  address: Text,
  device: Text,
  /** Absent if the address is on the link. May be of the other family. */
  gateway: Text.optional(),
  source: Text.optional(),
  /** The route that matched: `default`, a prefix, or the address alone. */
  destination: Text,
  protocol: Text.optional(),
});
export type NetworkPath = z.infer<typeof NetworkPath>;

/** How this machine reaches the control plane. */
export const ControlPlaneReach = z.strictObject({
  paths: z.array(NetworkPath).max(96),
  /** Hosts of the control plane to which no path is known, with the reason. */
  unreached: z.array(z.string().max(500)).max(16),
  /** Names that /etc/hosts resolves. */
  hosts: z.array(z.strictObject({ address: Text, name: Text })).max(32),
  /** Why another system could use none of the name servers. Absent if it could, or needs none. */
  resolverProblem: z.string().max(500).optional(),
  /** Whether the agent can make namespaces, in which it rehearses the boot environment's network. */
  canRehearse: z.boolean(),
  /** What else this machine needs to reach the control plane, which another system would not have. */
  obstacles: z
    .array(
      z.strictObject({
        kind: z.enum(["login", "proxy", "namespace", "vrf"]),
        /** The port concerned. Absent if it concerns every port. */
        device: Text.optional(),
        message: z.string().max(500),
      }),
    )
    .max(16),
});
export type ControlPlaneReach = z.infer<typeof ControlPlaneReach>;

/** Whether one way to start another system just once is possible on this machine. */
export const BootArming = z.strictObject({
  adapter: Text,
  possible: z.boolean(),
  /** Why not, and what to do instead. */
  reason: z.string().max(1000).optional(),
  fallback: z.string().max(1000).optional(),
  /** What would be staged, in which folder, and what is free there. */
  form: z.enum(["kernel-and-initrd", "unified-kernel", "windows-ramdisk"]).optional(),
  folder: Path.optional(),
  freeBytes: Bytes.optional(),
});
export type BootArming = z.infer<typeof BootArming>;

export const BootLoader = z.strictObject({
  /** The agent's name for it, such as `grub`. */
  kind: orUnknown(Text),
  /** Main configuration: `/boot/grub/grub.cfg`, `/boot/efi/loader/loader.conf`, `/etc/lilo.conf`. */
  configPath: Path.optional(),
  /** GRUB's environment block. */
  environmentPath: Path.optional(),
  /**
   * File system and block device under the environment block: decides whether GRUB can clear a one-shot
   * entry.
   */
  environmentFileSystem: orUnknown(Text).optional(),
  environmentDevice: Path.optional(),
  /** Where the EFI system partition is mounted. */
  espPath: Path.optional(),
  /** The ways to arm it that the agent examined, the preferred one first. */
  arming: z.array(BootArming).max(16).optional(),
  /**
   * The key whose boot images the agent starts: SHA-256 of the public key (SPKI, DER). If absent, the agent
   * will trust the key of the first image.
   */
  trustedImageKey: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** Active or not, in the firmware's order; UEFI only. `id` such as `Boot0001`. */
  entries: z.array(z.strictObject({ id: Text, label: Text, active: z.boolean() })).max(64),
});
export type BootLoader = z.infer<typeof BootLoader>;

/** What runs virtual machines on a target host. */
export const HypervisorInventory = z.strictObject({
  /** The agent's name for it, such as `qemu`. */
  kind: Text,
  version: Text,
  /** Whether it can start guests with UEFI firmware. */
  uefiFirmware: z.boolean(),
});
export type HypervisorInventory = z.infer<typeof HypervisorInventory>;

/** Whether one part of this system's start needs a person at the console, as far as the agent can judge. */
export const ReturnPart = z.strictObject({
  verdict: z.enum(["unattended", "attended", UNKNOWN]),
  /** Why not `unattended`, and what to do about it. */
  reason: z.string().max(1000).optional(),
  remedy: z.string().max(1000).optional(),
});
export type ReturnPart = z.infer<typeof ReturnPart>;

/**
 * Whether the machine comes back to this system by itself when another system restarts it. This does not
 * consider whether its next start is armed.
 */
export const SystemReturn = z.strictObject({
  /** The boot loader that starts this system does not wait for a key, a password or a choice. */
  bootLoader: ReturnPart,
  /** Firmware and boot loader start this system when nothing is armed. */
  nextStart: ReturnPart,
  /** Encrypted volumes unlock without a person. */
  volumes: ReturnPart,
  /** What the firmware tries before it starts this system: a network card, a CD drive. */
  triedBefore: z.array(Text).max(16),
});
export type SystemReturn = z.infer<typeof SystemReturn>;

export const Inventory = z.strictObject({
  takenAt: Timestamp,
  hostname: Text,
  /** Changes at each boot. */
  bootId: orUnknown(Text),
  operatingSystem: z.strictObject({
    family: orUnknown(z.enum(["linux", "windows"])),
    /** `debian`, `rhel`, … from os-release. */
    id: orUnknown(Text),
    version: orUnknown(Text),
    name: orUnknown(Text),
    kernel: orUnknown(Text),
    /** As the kernel names it: `x86_64`. */
    architecture: orUnknown(Text),
  }),
  firmware: z.strictObject({
    kind: orUnknown(z.enum(["bios", "uefi"])),
    secureBoot: orUnknown(z.enum(["enabled", "disabled", "unsupported"])),
  }),
  bootLoader: BootLoader,
  cpu: z.strictObject({
    /** Logical processors. */
    count: z.int().positive(),
    model: orUnknown(Text),
    flags: z.array(Text).max(512),
  }),
  memoryBytes: orUnknown(Bytes),
  /** As `systemd-detect-virt` names it: `none`, `kvm`, `vmware`, `microsoft`, … */
  virtualization: orUnknown(Text),
  disks: z.array(Disk).max(256),
  volumeGroups: z.array(VolumeGroup).max(64),
  raidArrays: z.array(RaidArray).max(64),
  /** Sources only. */
  return: SystemReturn.optional(),
  /** Agents of version 0.1 send this instead of `return`. No rule uses it. */
  unlocking: orUnknown(z.enum(["none", "by-itself", "by-hand"])).optional(),
  /**
   * How the agent starts after a restart: as an enabled service, or only when a person starts it.
   */
  agentStart: orUnknown(z.enum(["at-boot", "by-hand"])).optional(),
  /**
   * Source servers only: the services that their fence keeps down. Absent if the agent is older and does not
   * say.
   */
  fencedServices: z.array(ServiceName).max(256).optional(),
  /** What is known of them. Absent if the agent is older, or its systemd does not say. */
  fencedUnits: z.array(ListedService).max(256).optional(),
  /** Target hosts only: the check scripts that can be run. Absent if the agent is older and does not say. */
  checkScripts: z.array(CheckScriptName).max(256).optional(),
  /** Target hosts only: why it cannot ask isolated machines, if so. Absent if the agent is older. */
  isolatedChecks: z.strictObject({ problem: z.string().max(500).optional() }).optional(),
  /** Windows only: the drive letters in use. */
  volumeLetters: z
    .array(z.string().regex(/^[A-Z]$/))
    .max(26)
    .optional(),
  network: z.strictObject({
    interfaces: z.array(NetworkInterface).max(MOST_INTERFACES),
    routes: z.array(NetworkRoute).max(256),
    /** The real name servers, even if a resolver on the machine is in front of them. */
    dns: z.strictObject({ servers: z.array(Text).max(16), search: z.array(Text).max(16) }),
    /** Source servers only. */
    reach: ControlPlaneReach.optional(),
  }),
  /** Target hosts only. Absent if none is installed. */
  hypervisor: HypervisorInventory.optional(),
  /** Target hosts only: where they keep images, and how much room there is. */
  images: z.strictObject({ path: Path, freeBytes: Bytes.optional() }).optional(),
  /** Missing programs. The facts that they provide are `"unknown"` above. */
  missingTools: z.array(z.strictObject({ tool: Text, package: Text })).max(32),
  /** Which lists are incomplete, in words. Absent if none is. */
  problems: z.array(z.string().max(500)).max(64).optional(),
});
export type Inventory = z.infer<typeof Inventory>;
