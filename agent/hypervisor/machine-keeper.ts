import type { Readable } from "node:stream";
import * as z from "zod";
import { DiskFormat } from "#shared/protocol/common.ts";
import {
  DefinedMachine,
  type HypervisorKind,
  type MachinePower,
  MachineShape,
} from "#shared/protocol/defined-machine.ts";
import { AgentId, DiskName, OwnerId } from "#shared/protocol/ids.ts";
import { type IsolatedNetwork, IsolatedNetworks } from "#shared/protocol/isolated-network.ts";
import { FormerAddresses } from "#shared/protocol/new-address.ts";

/** Everything that a hypervisor has to know of a machine, and what is recorded of it before it is defined. */
export const KeptMachine = DefinedMachine.extend({
  ownerId: OwnerId,
  agentId: AgentId,
  /** What the source calls itself: any text, for people. */
  title: z.string().max(256),
  shape: MachineShape,
  /** Its cards reach at most each other, wherever their links lead, until it is connected. */
  isolated: z.literal(true).optional(),
  /** How it is asked while it is isolated. */
  isolatedNetworks: IsolatedNetworks.optional(),
  /** Addresses of its source that its system has no longer. */
  formerAddresses: FormerAddresses.optional(),
  /** The folder of the images; the agent's own. */
  folder: z.string(),
  /** Images in that folder. The boot disk is one of them. */
  disks: z
    .array(z.strictObject({ name: DiskName, path: z.string(), format: DiskFormat }))
    .min(1)
    .max(256),
});
export type KeptMachine = z.infer<typeof KeptMachine>;

/** Those in which the machine is asked as it is now; `undefined` if it is not isolated, or not asked. */
export function networksToAskIn({
  isolated,
  isolatedNetworks,
  shape: { cards },
}: KeptMachine): IsolatedNetwork[] | undefined {
  return isolated || cards.every(({ link }) => link.kind === "isolated") ? isolatedNetworks : undefined;
}

/** Cables that are out for less time than this may be in again before the system looks. */
export const UNPLUGGED_MS = 1000;

/**
 * What QEMU's monitor gets once a machine's cards are connected: QEMU tells the switches where their hardware
 * addresses are now, and has a Linux with virtio cards tell its neighbours that its IP addresses are there.
 * Otherwise those send to the source's card until they forget it.
 */
export const ANNOUNCE = "announce_self";

/** A text that defines a part of the machine: a document of libvirt, or a file. */
export interface Definition {
  /** What it is for: `domain`, or the path of the file. */
  name: string;
  text: string;
}

/** The serial console of a machine that is on. What it shows is the guest's, and may be anything. */
export interface MachineConsole {
  /** From now on, one character for each byte. Ends when the machine is off. */
  output: Readable;
  /** A prompt that was shown before is shown again. */
  pressEnter(): Promise<void>;
  close(): void;
}

/**
 * Keeps machines that stay, in contrast to the guest of a boot check. Each call may be repeated after an
 * interruption at any place. None changes an image.
 */
export interface MachineKeeper {
  kind: HypervisorKind;
  /**
   * What would be defined. Throws `ToolMissingError` if this hypervisor is not installed,
   * `MachineUnsupportedError` if the host lacks what the machine is to have, and `MachineNotOursError` if
   * another machine has its name.
   */
  draft(machine: KeptMachine): Promise<Definition[]>;
  /**
   * Defines the machine, or makes an earlier definition equal to this one. Throws like `draft`.
   */
  define(machine: KeptMachine): Promise<void>;
  /** Whether it is on; `undefined` if it is not defined. */
  power(machine: KeptMachine): Promise<MachinePower | undefined>;
  /** Switches it on. A machine that is on stays as it is. */
  start(machine: KeptMachine): Promise<void>;
  /**
   * From now on, the cards of a machine that was isolated lead to where their links do. If the machine is on,
   * it sees its cables plugged in again.
   */
  connect(machine: KeptMachine): Promise<void>;
  /**
   * The bridge of this host at which the cards of an isolated machine are, which is to be asked there. Throws
   * `HypervisorFailedError` if it has none.
   */
  isolatedBridge(machine: KeptMachine): Promise<string>;
  /** Throws `HypervisorFailedError` if the machine has no console now. */
  openConsole(machine: KeptMachine): Promise<MachineConsole>;
  /**
   * Presses the power button and waits, or switches it off at once. Throws `MachineNotStoppedError`, or the
   * signal's reason.
   */
  stop(machine: KeptMachine, how: { atOnce: boolean; signal: AbortSignal }): Promise<void>;
  /**
   * Removes the definition and what belongs to it, but no disk. A machine that is not defined is removed.
   */
  undefine(machine: KeptMachine): Promise<void>;
}
