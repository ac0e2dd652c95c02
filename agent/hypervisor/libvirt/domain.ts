import { MachineUnsupportedError } from "#shared/errors.ts";
import {
  type CardLink,
  type DiskBus,
  IDE_DISKS,
  type MachineShape,
} from "#shared/protocol/defined-machine.ts";
import { markerString } from "../../machine/machine-marker.ts";
import type { KeptMachine } from "../machine-keeper.ts";
import { element, renderXml, type XmlElement } from "./xml.ts";

/** By which a machine's documents are recognised as Causeway's. */
export const METADATA_URI = "urn:causeway:machine:1";

/** What the host decides about a machine. */
export interface DomainHost {
  kvm: boolean;
  /** Files of the firmware; `undefined` for a BIOS. */
  uefi: { code: string; variables: string } | undefined;
  /** Bridges that Open vSwitch made, which is another program than the kernel. */
  openVswitch: ReadonlySet<string>;
}

/** The document that defines the machine. Every text in it is escaped, wherever it came from. */
export function domainXml(machine: KeptMachine, host: DomainHost): string {
  const { shape, name, uuid, ownerId, agentId } = machine;
  const root = element(
    "domain",
    { type: host.kvm ? "kvm" : "qemu" },
    element("name", {}, name),
    element("uuid", {}, uuid),
    // libvirt refuses a title of more than one line.
    element("title", {}, machine.title.replace(/\s+/g, " ")),
    element("description", {}, `Made by Causeway for ${ownerId}`),
    element(
      "metadata",
      {},
      element("causeway:machine", { "xmlns:causeway": METADATA_URI, owner: ownerId, agent: agentId }),
    ),
    element("memory", { unit: "MiB" }, `${shape.memoryMiB}`),
    element("vcpu", {}, `${shape.cpuCount}`),
    firmware(shape, host),
    element(
      "sysinfo",
      { type: "smbios" },
      element("oemStrings", {}, element("entry", {}, markerString(ownerId))),
    ),
    element("features", {}, element("acpi"), element("apic")),
    element("cpu", { mode: host.kvm ? "host-model" : "maximum" }),
    element("clock", { offset: shape.clock === "local" ? "localtime" : "utc" }),
    element("on_poweroff", {}, "destroy"),
    element("on_reboot", {}, "restart"),
    element("on_crash", {}, "destroy"),
    element("devices", {}, ...disks(machine), ...cards(machine, host), ...console()),
  );
  return renderXml(root);
}

/**
 * The firmware's files are named. If libvirt chose them, it could choose those with keys enrolled, which
 * refuse a boot loader that is not signed: https://github.com/virt-manager/virt-manager/issues/576
 */
function firmware({ firmware: kind, diskBus }: MachineShape, { uefi }: DomainHost): XmlElement {
  // q35 has no IDE controller: https://github.com/dmacvicar/terraform-provider-libvirt/issues/885
  const type = element("type", { arch: "x86_64", machine: diskBus === "ide" ? "pc" : "q35" }, "hvm");
  const smbios = element("smbios", { mode: "sysinfo" });
  if (kind === "bios" || !uefi) return element("os", {}, type, smbios);
  return element(
    "os",
    {},
    type,
    element("loader", { readonly: "yes", type: "pflash" }, uefi.code),
    element("nvram", { template: uefi.variables }),
    smbios,
  );
}

const DEVICE_PREFIX: Readonly<Record<DiskBus, string>> = { virtio: "vd", scsi: "sd", sata: "sd", ide: "hd" };

/**
 * Disks in the source's order. `boot order` is the boot disk's alone: a firmware then tries no other disk, so
 * boot code on one of those does not matter.
 */
function disks({ disks: all, shape: { diskBus }, bootDisk }: KeptMachine): XmlElement[] {
  if (diskBus === "ide" && all.length > IDE_DISKS)
    throw new MachineUnsupportedError(
      `it has ${all.length} disks, and an IDE controller has room for ${IDE_DISKS}`,
      "Choose another bus with --disk-bus.",
    );
  const elements = all.map(({ name, path, format }, index) =>
    element(
      "disk",
      // As a file, not as a volume of the pool: AppArmor's helper does not find a volume's path.
      // https://github.com/dmacvicar/terraform-provider-libvirt/issues/126
      { type: "file", device: "disk" },
      element("driver", { name: "qemu", type: format, discard: "unmap" }),
      element("source", { file: path }),
      // libvirt opens no other file that an image names.
      format === "qcow2" ? element("backingStore") : undefined,
      element("target", { dev: `${DEVICE_PREFIX[diskBus]}${letters(index)}`, bus: diskBus }),
      name === bootDisk ? element("boot", { order: 1 }) : undefined,
    ),
  );
  const controller = element("controller", { type: "scsi", index: 0, model: "virtio-scsi" });
  return diskBus === "scsi" ? [controller, ...elements] : elements;
}

/** As Linux numbers disks: a to z, then aa. */
export function letters(index: number): string {
  const last = String.fromCharCode(97 + (index % 26));
  return index < 26 ? last : `${letters(Math.floor(index / 26) - 1)}${last}`;
}

function cards(machine: KeptMachine, host: DomainHost): XmlElement[] {
  return machine.shape.cards.map((card) => cardElement(card, machine, host.openVswitch));
}

/** The document of one card alone. */
export function cardXml(card: Card, machine: KeptMachine, openVswitch: ReadonlySet<string>): string {
  return renderXml(cardElement(card, machine, openVswitch));
}

type Card = MachineShape["cards"][number];

/** Where a card leads now: not where its link does while its machine is isolated. */
export function linkNow({ link }: Card, { isolated }: Pick<KeptMachine, "isolated">): CardLink {
  return isolated ? { kind: "isolated" } : link;
}

function cardElement(card: Card, machine: KeptMachine, openVswitch: ReadonlySet<string>): XmlElement {
  const link = linkNow(card, machine);
  const vlan = link.kind === "isolated" ? undefined : link.vlan;
  return element(
    "interface",
    { type: link.kind === "bridge" ? "bridge" : "network" },
    element("mac", { address: card.address }),
    source(link, machine.name),
    vlan === undefined ? undefined : element("vlan", {}, element("tag", { id: vlan })),
    link.kind === "bridge" && openVswitch.has(link.bridge)
      ? element("virtualport", { type: "openvswitch" })
      : undefined,
    element("model", { type: machine.shape.cardModel }),
  );
}

function source(link: CardLink, machineName: string): XmlElement {
  if (link.kind === "bridge") return element("source", { bridge: link.bridge });
  return element("source", {
    network: link.kind === "network" ? link.network : isolatedNetworkName(machineName),
  });
}

/** A screen that only this host's users with rights at libvirt can open, a serial console, randomness. */
function console(): XmlElement[] {
  return [
    element("serial", { type: "pty" }),
    element("console", { type: "pty" }),
    element("input", { type: "tablet", bus: "usb" }),
    element("graphics", { type: "vnc" }, element("listen", { type: "socket" })),
    element("video", {}, element("model", { type: "vga" })),
    element("rng", { model: "virtio" }, element("backend", { model: "random" }, "/dev/urandom")),
  ];
}

/** The network of the machine's isolated cards. */
export function isolatedNetworkName(machineName: string): string {
  return `${machineName}-isolated`;
}

/** A bridge without an address, without DHCP, and without a way to the host or anything else. */
export function isolatedNetworkXml({ name, uuid }: Pick<KeptMachine, "name" | "uuid">): string {
  return renderXml(
    element(
      "network",
      {},
      element("name", {}, isolatedNetworkName(name)),
      element("uuid", {}, uuid),
      element("bridge", { stp: "on", delay: 0 }),
    ),
  );
}

/** The images' folder, for libvirt's tools. */
export function poolXml({ name, uuid, folder }: Pick<KeptMachine, "name" | "uuid" | "folder">): string {
  return renderXml(
    element(
      "pool",
      { type: "dir" },
      element("name", {}, name),
      element("uuid", {}, uuid),
      element("target", {}, element("path", {}, folder)),
    ),
  );
}
