/** The virtual machine that a target host defines for the disks of a conversion. */
import * as z from "zod";
import { AnswerCheck, MOST_CHECKS } from "./answer-check.ts";
import { AgentId, DiskName, OwnerId } from "./ids.ts";
import { LeftOutCheck } from "./isolated-network.ts";

/** What runs the machine. */
export const HypervisorKind = z.enum(["libvirt", "qemu"]);
export type HypervisorKind = z.infer<typeof HypervisorKind>;

/** The controller that its disks are attached to. `ide` has room for four disks. */
export const DiskBus = z.enum(["virtio", "scsi", "sata", "ide"]);
export type DiskBus = z.infer<typeof DiskBus>;
export const IDE_DISKS = 4;

/** What a network card looks like to the system. Nearly every system has a driver for `e1000`. */
const CardModel = z.enum(["virtio", "e1000"]);

/**
 * An address that a card of a virtual machine can have: lower case, of one card, not zero. libvirt keeps
 * those that begin with `fe` for its own ends of the cables.
 */
export const CardAddress = z
  .string()
  .regex(
    /^(?!00(:00){5}$)(?!fe)[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/,
    "an address such as 52:54:00:12:34:56",
  );

const Vlan = z.int().min(1).max(4094);
/** The kernel allows 15 characters. */
const BridgeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/, "the name of a bridge");
const NetworkName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "the name of a network");

/** What a card is connected to. `isolated`: a network that only this machine's own cards are in. */
export const CardLink = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("bridge"), bridge: BridgeName, vlan: Vlan.optional() }),
  z.strictObject({ kind: z.literal("network"), network: NetworkName, vlan: Vlan.optional() }),
  z.strictObject({ kind: z.literal("isolated") }),
]);
export type CardLink = z.infer<typeof CardLink>;

const NetworkCard = z.strictObject({ address: CardAddress, link: CardLink });

/** The virtual hardware. */
export const MachineShape = z.strictObject({
  cpuCount: z.int().min(1).max(512),
  memoryMiB: z
    .int()
    .min(16)
    .max(16 * 2 ** 20),
  firmware: z.enum(["bios", "uefi"]),
  diskBus: DiskBus,
  cardModel: CardModel,
  cards: z
    .array(NetworkCard)
    .max(16)
    .refine(
      (cards) => new Set(cards.map(({ address }) => address)).size === cards.length,
      "two cards have the same address",
    ),
  /** What the machine's clock shows when it is switched on. Windows expects local time. */
  clock: z.enum(["utc", "local"]),
  /** `kvm` if the host offers it, `software` otherwise. */
  acceleration: z.enum(["if-offered", "software"]),
});
export type MachineShape = z.infer<typeof MachineShape>;

/** Its name in the hypervisor, also the name of files and units. */
export const MachineName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,49}$/, "lower-case letters, digits, dot and dash; at most 50");

/** A machine as its target host knows it. */
export const DefinedMachine = z.object({
  hypervisor: HypervisorKind,
  name: MachineName,
  uuid: z.uuid(),
  /** The disk that the firmware starts, and why this one. */
  bootDisk: DiskName,
  bootReason: z.string().max(500),
});
export type DefinedMachine = z.infer<typeof DefinedMachine>;

export const MachinePower = z.enum(["on", "off"]);
export type MachinePower = z.infer<typeof MachinePower>;

export const MachineAnswer = z.object({
  /** From the first look until the answer. */
  seconds: z.number().nonnegative(),
  /** What the answer was. */
  reason: z.string().max(500),
});
export type MachineAnswer = z.infer<typeof MachineAnswer>;

/** The commands on a machine that is defined; a part of `commands.ts`. */
export const machinePowerCommands = {
  /** Switches the owner's machine on or off. A machine that is so already stays as it is. */
  "power-machine": {
    input: z.object({
      ownerId: OwnerId,
      power: MachinePower,
      /** Whether to switch it off without asking the system to shut down. */
      atOnce: z.boolean(),
    }),
    output: z.object({ machine: DefinedMachine, power: MachinePower }),
  },

  /**
   * Switches the owner's machine on, unless it is on, and waits for its first answer. A machine that does not
   * answer in time stays on. While it is isolated, it is asked in its isolated networks.
   */
  "bring-up-machine": {
    input: z.object({
      ownerId: OwnerId,
      check: AnswerCheck,
      timeoutSeconds: z.int().min(1).max(7200),
      /** The machine runs in place of this source, only under its lease, which the target host renews. */
      lease: z.object({ sourceId: AgentId, term: z.int().positive() }).optional(),
      /** Whether a check whose name leads to another machine than this isolated one is left out. */
      leavesOut: z.literal(true).optional(),
    }),
    output: z.object({
      machine: DefinedMachine,
      answer: MachineAnswer,
      leftOut: z.array(LeftOutCheck).max(MOST_CHECKS).optional(),
    }),
  },

  /**
   * Connects the cards of the owner's isolated machine to where their links lead: now if it is on, and each
   * time that it is switched on. A machine that is not isolated stays as it is.
   */
  "connect-machine": {
    input: z.object({ ownerId: OwnerId }),
    output: z.object({
      machine: DefinedMachine,
      /** As it is then: its host may have restarted since it answered. Older agents do not say. */
      power: MachinePower.optional(),
    }),
  },

  /** Removes the owner's machine, and its disks only if asked. Repeating it is harmless. */
  "remove-machine": {
    input: z.object({ ownerId: OwnerId, disks: z.boolean() }),
    output: z.object({ disksRemoved: z.boolean() }),
  },
} as const;
