import { createHash } from "node:crypto";
import { MachineUnsupportedError } from "#shared/errors.ts";
import { type DiskBus, IDE_DISKS } from "#shared/protocol/defined-machine.ts";
import { markerString } from "../../../machine/machine-marker.ts";
import type { KeptMachine } from "../../machine-keeper.ts";
import { QEMU_PROGRAM, SANDBOX } from "../qemu-machine.ts";

/** Descriptors below 10 belong to the shell. */
const FIRST_FD = 10;
/** Of the controller that q35 has, and of each that is added. */
const SATA_PORTS = 6;

/** The files that QEMU gets as open descriptors, in their order. */
export interface OpenedFile {
  fd: number;
  path: string;
  isWritten: boolean;
}

export interface QemuCommand {
  files: OpenedFile[];
  args: string[];
}

/** The host's end of a card. */
export interface Tap {
  name: string;
  bridge: string;
  vlan: number | undefined;
}

export interface ServiceHost {
  kvm: boolean;
  /** `variables`: this machine's own. `undefined` for a BIOS. */
  uefi: { code: string; variables: string } | undefined;
}

/** How QEMU is started. It gets no file name: it has no right to open anything. */
export function qemuCommand(machine: KeptMachine, host: ServiceHost): QemuCommand {
  const { shape, name, uuid, ownerId } = machine;
  const files: OpenedFile[] = [];
  const open = (path: string, isWritten: boolean) => {
    const fd = FIRST_FD + files.length;
    files.push({ fd, path, isWritten });
    return { driver: "file", filename: `/dev/fdset/${fd}`, ...(isWritten ? {} : { "read-only": true }) };
  };
  const type = shape.diskBus === "ide" ? "pc" : "q35";
  const firmware = host.uefi
    ? [
        ...blockdev({
          driver: "raw",
          "node-name": "code",
          "read-only": true,
          file: open(host.uefi.code, false),
        }),
        ...blockdev({ driver: "raw", "node-name": "variables", file: open(host.uefi.variables, true) }),
      ]
    : [];
  const disks = diskArguments(machine, open);
  const args = [
    ...["-name", name, "-uuid", uuid, "-nodefaults", "-no-user-config", "-sandbox", SANDBOX],
    ...["-machine", host.uefi ? `${type},pflash0=code,pflash1=variables` : type],
    ...(host.kvm ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", "tcg,thread=multi", "-cpu", "max"]),
    ...["-m", String(shape.memoryMiB), "-smp", String(shape.cpuCount)],
    ...["-smbios", `type=11,value=${markerString(ownerId)}`],
    ...["-rtc", `base=${shape.clock === "local" ? "localtime" : "utc"}`],
    // The boot disk has the only place in the order; no other disk is tried.
    ...["-boot", "strict=on", "-device", "VGA", "-vnc", "unix:screen", "-device", "virtio-rng-pci"],
    ...["-device", "qemu-xhci", "-device", "usb-tablet"],
    ...["-chardev", "socket,id=console,path=console,server=on,wait=off", "-serial", "chardev:console"],
    ...["-chardev", "pipe,id=monitor,path=monitor", "-mon", "chardev=monitor,mode=readline"],
    ...files.flatMap(({ fd }) => ["-add-fd", `fd=${fd},set=${fd}`]),
    ...firmware,
    ...disks,
    ...cardArguments(machine),
  ];
  return { files, args: [QEMU_PROGRAM, ...args] };
}

function blockdev(node: object): string[] {
  return ["-blockdev", JSON.stringify(node)];
}

function diskArguments(
  { disks, bootDisk, shape: { diskBus } }: KeptMachine,
  open: (path: string, isWritten: boolean) => object,
): string[] {
  if (diskBus === "ide" && disks.length > IDE_DISKS)
    throw new MachineUnsupportedError(
      `it has ${disks.length} disks, and an IDE controller has room for ${IDE_DISKS}`,
      "Choose another bus with --disk-bus.",
    );
  return [
    ...controllers(diskBus, disks.length),
    ...disks.flatMap(({ name, path, format }, index) => [
      ...blockdev({
        ...{ driver: format, "node-name": `disk${index}`, discard: "unmap", file: open(path, true) },
        // QEMU must not open the backing file that an image names.
        ...(format === "qcow2" ? { backing: null } : {}),
      }),
      "-device",
      `${deviceOf(diskBus, index)},drive=disk${index}${name === bootDisk ? ",bootindex=1" : ""}`,
    ]),
  ];
}

function controllers(diskBus: DiskBus, count: number): string[] {
  if (diskBus === "scsi") return ["-device", "virtio-scsi-pci,id=scsi"];
  if (diskBus !== "sata") return [];
  const added = Math.ceil(count / SATA_PORTS) - 1;
  return Array.from({ length: added }, (_, index) => ["-device", `ahci,id=sata${index + 1}`]).flat();
}

function deviceOf(diskBus: DiskBus, index: number): string {
  if (diskBus === "virtio") return "virtio-blk-pci";
  if (diskBus === "scsi") return `scsi-hd,bus=scsi.0,scsi-id=${index}`;
  if (diskBus === "ide") return `ide-hd,bus=ide.${index >> 1},unit=${index & 1}`;
  const controller = Math.floor(index / SATA_PORTS);
  return `ide-hd,bus=${controller === 0 ? "ide" : `sata${controller}`}.${index % SATA_PORTS}`;
}

/** By which QEMU knows a card's cable. */
export function cardName(index: number): string {
  return `card${index}`;
}

function cardArguments(machine: KeptMachine): string[] {
  const model = machine.shape.cardModel === "virtio" ? "virtio-net-pci" : "e1000";
  const taps = tapsOf(machine);
  let tap = 0;
  return machine.shape.cards.flatMap(({ address, link }, index) => [
    "-netdev",
    // An isolated card is alone: the other end answers nothing and leads nowhere.
    link.kind === "isolated"
      ? `hubport,id=${cardName(index)},hubid=${index}`
      : `tap,id=${cardName(index)},ifname=${taps[tap++]?.name},script=no,downscript=no`,
    "-device",
    `${model},netdev=${cardName(index)},mac=${address}`,
  ]);
}

/** The bridge at which the cards of an isolated machine are that is asked there. */
export function isolatedBridgeName({ uuid }: Pick<KeptMachine, "uuid">): string {
  return `${linkPrefix(uuid)}i`;
}

/** The links that the cards at bridges need, with names of their own. */
export function tapsOf({ uuid, shape }: KeptMachine): Tap[] {
  const prefix = linkPrefix(uuid);
  return shape.cards.flatMap(({ link }, index) =>
    link.kind === "bridge" ? [{ name: `${prefix}n${index}`, bridge: link.bridge, vlan: link.vlan }] : [],
  );
}

function linkPrefix(uuid: string): string {
  return `cw${createHash("sha256").update(uuid).digest("hex").slice(0, 8)}`;
}
