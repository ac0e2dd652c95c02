/** The commands that make a machine of written disks; a part of `commands.ts`. */
import * as z from "zod";
import { DefinedMachine, HypervisorKind, MachineName, MachineShape } from "./defined-machine.ts";
import { DiskName, disksOf } from "./ids.ts";
import { IsolatedNetworks } from "./isolated-network.ts";
import { FormerAddresses } from "./new-address.ts";
import { ShownAdaptation, SourceDiskIdentity, WantedMachine } from "./wanted-machine.ts";
import { ownedPoint, WrittenDisk } from "./written-disk.ts";

export const machineCommands = {
  /**
   * Defines a virtual machine with the written disks, switched off, or makes the owner's earlier machine
   * equal to this one. Never replaces a machine that this agent did not define.
   */
  "define-machine": {
    input: z.object({
      ...ownedPoint,
      disks: disksOf(WrittenDisk),
      hypervisor: HypervisorKind,
      name: MachineName,
      /** What the source calls itself: any text. */
      title: z.string().max(256),
      shape: MachineShape,
      /** The disk that an operator chose to boot. */
      bootDisk: DiskName.optional(),
      /** The disks that the source's own mounts show its firmware could have started; none if unknown. */
      systemDisks: z.array(DiskName).max(256),
      /** Until `connect-machine`, its cards reach at most each other, wherever their links lead. */
      isolated: z.literal(true).optional(),
      /** How it is asked over the network while it is isolated; absent if it is not. */
      isolatedNetworks: IsolatedNetworks.optional(),
      /** Addresses that its system had on the source and has no longer: what answers there is not it. */
      formerAddresses: FormerAddresses.optional(),
      /** Whether only to say what would be defined. */
      dryRun: z.boolean(),
    }),
    output: z.object({
      machine: DefinedMachine,
      /** Only of a dry run: the documents or files, by name. */
      definitions: z
        .array(z.object({ name: z.string().max(4096), text: z.string().max(262_144) }))
        .optional(),
    }),
  },

  /**
   * Adapts the system on the written disks to a machine, while that is off. A dry run changes nothing on
   * them; what it computed is used later, if the disks are still the same.
   */
  "adapt-machine": {
    input: z.object({
      ...ownedPoint,
      disks: disksOf(WrittenDisk),
      /** What the disks were on the source, as far as it is known. */
      sourceDisks: z.array(SourceDiskIdentity).max(256),
      wanted: WantedMachine,
      dryRun: z.boolean(),
    }),
    output: ShownAdaptation,
  },
} as const;
