import * as z from "zod";
import { CardAddress, DiskBus, MachineShape } from "./defined-machine.ts";
import { DiskName } from "./ids.ts";
import { MOST_NEW_ADDRESSES, SystemAddress } from "./new-address.ts";

/** Files that an adaptation can change; a few dozen are usual. */
export const MOST_CHANGES = 1000;
/** What a diff shows of one file. */
export const MOST_DIFF_CHARACTERS = 20_000;

/** As Linux allows it; a file is named by it. */
const InterfaceName = z.string().regex(/^[^/\s]{1,15}$/);

/** The machine that a captured system is adapted to, and the addresses that it is to have there. */
export const WantedMachine = z.strictObject({
  diskBus: DiskBus,
  firmware: MachineShape.shape.firmware,
  cardModel: MachineShape.shape.cardModel,
  cards: z
    .array(
      z.strictObject({
        address: CardAddress,
        /** The source's port whose place it takes: its name, addresses and routes are kept. */
        replaces: z.strictObject({ name: InterfaceName, address: z.string().max(64) }).optional(),
      }),
    )
    .max(16),
  /** What interfaces of the system get in place of their addresses; absent if all are kept. */
  addresses: z.array(SystemAddress).max(MOST_NEW_ADDRESSES).optional(),
  machineId: z.enum(["kept", "new"]),
  hostKeys: z.enum(["kept", "new"]),
  /** In a drill, agents and clusters of the source stay off, which would act in its name. */
  purpose: z.enum(["drill", "production"]),
});
export type WantedMachine = z.infer<typeof WantedMachine>;

/** What others know a system by; an adaptation keeps each part, or has the system get a new one. */
export const SystemIdentity = WantedMachine.pick({ machineId: true, hostKeys: true });
export type SystemIdentity = z.infer<typeof SystemIdentity>;

const { machineId, hostKeys } = SystemIdentity.shape;
/** What a request says of a system's identity. */
export const identityChoice = { machineId: machineId.default("kept"), hostKeys: hostKeys.default("kept") };

/** What a disk was on the source. A configuration can name it by these. */
export const SourceDiskIdentity = z.strictObject({
  name: DiskName,
  serial: z.string().max(256).optional(),
  wwid: z.string().max(256).optional(),
  /** The source is known to have had no other disk, so a name by a disk's place means this one. */
  isOnly: z.literal(true).optional(),
});
export type SourceDiskIdentity = z.infer<typeof SourceDiskIdentity>;

/** A change of one file of an adapted system, for people. */
export const ShownChange = z.object({
  path: z.string().max(4096),
  why: z.array(z.string().max(1000)).max(50),
  /** Changed lines, or what happened to something that is not text. */
  diff: z.string().max(MOST_DIFF_CHARACTERS),
});
export type ShownChange = z.infer<typeof ShownChange>;

/** What adapting a system did, or, if it was only tried, would do. */
export const ShownAdaptation = z.object({
  changes: z.array(ShownChange).max(MOST_CHANGES),
  /** Programs of the system that ran in it, on a throw-away copy. */
  commands: z.array(z.object({ command: z.string().max(1000), seconds: z.number().nonnegative() })).max(100),
  /** What an operator has to look after. */
  notes: z.array(z.string().max(1000)).max(200),
  /** Whether the disks have the changes now. */
  isApplied: z.boolean(),
  /** Why changes that were computed earlier could not be used: what has changed on the disks since. */
  stale: z.array(z.string().max(1000)).max(200),
  computeSeconds: z.number().nonnegative(),
  applySeconds: z.number().nonnegative(),
});
export type ShownAdaptation = z.infer<typeof ShownAdaptation>;
