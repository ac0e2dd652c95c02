/**
 * The commands that the control plane sends to agents. A command is idempotent by its id: an agent that gets
 * it twice runs it once and answers twice.
 */
import * as z from "zod";
import { BootImageReference, Sha256 } from "./boot-image.ts";
import { BootReceipt, BootReceiptItem } from "./boot-receipt.ts";
import { DiskFormat, Timestamp } from "./common.ts";
import { machinePowerCommands } from "./defined-machine.ts";
import { fenceCommands } from "./fence.ts";
import {
  AgentId,
  CommandId,
  ConversionId,
  DiskBytes,
  DiskName,
  disksOf,
  NAMES_DIFFER,
  namesDiffer,
  ObjectKey,
  OwnerId,
  PlanId,
  PointId,
  RestarterId,
} from "./ids.ts";
import { Inventory } from "./inventory.ts";
import { AgentSystem, BootId } from "./machine.ts";
import { machineCommands } from "./machine-commands.ts";
import { proofCommands } from "./proof.ts";
import { MAX_CHECKED_POINTS, RepositoryChecked } from "./repository-check.ts";
import { RuleName } from "./rule-names.ts";
import { captureFields, TakenPoint } from "./taken-point.ts";
import { BandwidthHours } from "./weekly-hours.ts";
import { ownedPoint, WrittenDisk } from "./written-disk.ts";

const SizedDisk = z.object({ name: DiskName, sizeBytes: DiskBytes.positive() });

const CapturedDiskRef = SizedDisk.extend({
  /** The position of the disk map's root; opaque outside the repository format. */
  mapRoot: z.string().max(8192),
});
export type CapturedDiskRef = z.infer<typeof CapturedDiskRef>;

/** What the agent did to make a standby equal to a recovery point. */
const StandbyResult = z.object({
  /** The point that the standby equals now. */
  pointId: PointId,
  disks: disksOf(
    SizedDisk.extend({
      /** For people. */
      path: z.string().max(4096),
      /** `comparison`: all of the image was read, for the reason in `why`. */
      method: z.enum(["unchanged", "changes", "comparison"]),
      why: z.enum(["asked-for", "unknown-content", "earlier-map-lost", "changed-from-outside"]).optional(),
    }),
  ),
  bytesWritten: z.int().nonnegative(),
  bytesZeroed: z.int().nonnegative(),
  /** Blocks from the repository, as they are stored. */
  bytesFetched: z.int().nonnegative(),
  /** From the images, to compare them with the point. */
  bytesRead: z.int().nonnegative(),
  /** Parts of 16 MiB that the point did not change and that were compared nevertheless. */
  leavesChecked: z.int().nonnegative(),
  /** Such parts that another program had changed. They equal the point now. */
  leavesRepaired: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
});

/** Input and output of every kind of command. */
export const commandKinds = {
  /** Takes a new inventory of the machine. */
  "take-inventory": { input: z.object({}), output: z.object({ inventory: Inventory }) },

  /**
   * Takes a recovery point: opens one view of all disks, reads each into the repository, based on the newest
   * recovery point that has it, and makes them visible by one final conditional write.
   */
  "take-recovery-point": {
    input: z.object({
      ownerId: OwnerId,
      pointId: PointId,
      disks: z
        .array(DiskName)
        .min(1)
        .max(256)
        .refine((names) => namesDiffer(names.map((name) => ({ name }))), NAMES_DIFFER),
      /** Whether to copy blocks that file systems mark as free, too. */
      allBlocks: z.boolean().default(false),
      /** Whether a copy of a disk in use that is not consistent is better than none. */
      allowInconsistent: z.boolean().default(false),
      /** Of the hours that `bandwidthHours` does not name. */
      bandwidthLimitBytesPerSecond: z.int().positive().optional(),
      bandwidthHours: BandwidthHours.optional(),
    }),
    output: TakenPoint,
  },

  /** Reads one disk into the repository. Nothing becomes visible: a recovery point names the result later. */
  "capture-disk": {
    input: z.object({
      conversionId: ConversionId,
      pointId: PointId,
      disk: DiskName,
      /** Whether to copy blocks that file systems mark as free, too. */
      allBlocks: z.boolean().default(false),
      bandwidthLimitBytesPerSecond: z.int().positive().optional(),
    }),
    output: z.object({
      disk: CapturedDiskRef,
      ...captureFields,
    }),
  },

  /** Makes the captured disks visible as one recovery point, by one final conditional write. */
  "commit-recovery-point": {
    input: z.object({ conversionId: ConversionId, pointId: PointId, disks: disksOf(CapturedDiskRef) }),
    output: z.object({ pointId: PointId }),
  },

  /** Writes every disk of a recovery point as an image file on the target host. */
  materialise: {
    input: z.object({ ...ownedPoint, disks: disksOf(SizedDisk), format: DiskFormat }),
    output: z.object({
      disks: disksOf(WrittenDisk),
      bytesWritten: z.int().nonnegative(),
      seconds: z.number().nonnegative(),
    }),
  },

  /**
   * Makes a plan's standby on this target host equal to a recovery point, with work proportional to what
   * changed. An interrupted application is finished by the next one, of this point or another.
   */
  "apply-to-standby": {
    input: z.object({
      ownerId: OwnerId,
      planId: PlanId,
      sourceId: AgentId,
      pointId: PointId,
      /** The disks of the recovery point, as the control plane recorded them. */
      disks: disksOf(SizedDisk),
    }),
    output: StandbyResult,
  },

  /** Compares a standby with the recovery point that it equals, all of it or a sample, and repairs it. */
  "check-standby": {
    input: z.object({ ownerId: OwnerId, planId: PlanId, sourceId: AgentId, whole: z.boolean() }),
    output: StandbyResult,
  },

  /** Removes a plan's standby. Repeating it is harmless. */
  "forget-standby": {
    input: z.object({ ownerId: OwnerId, planId: PlanId }),
    output: z.object({}),
  },

  /**
   * Makes images for a conversion from a standby, like `materialise` from the repository. They stay as they
   * are while the standby changes.
   */
  "clone-standby": {
    input: z.object({ ...ownedPoint, planId: PlanId, disks: disksOf(SizedDisk) }),
    output: z.object({
      disks: disksOf(WrittenDisk),
      /**
       * `reflink`: they share their blocks with the standby until one of both changes. `kept`: an earlier
       * attempt had made them all.
       */
      method: z.enum(["reflink", "copy", "kept"]),
      bytesWritten: z.int().nonnegative(),
      seconds: z.number().nonnegative(),
    }),
  },

  /** Re-reads the written disks and compares each block with the recovery point's hashes. */
  verify: {
    input: z.object({ ...ownedPoint, disks: disksOf(WrittenDisk) }),
    output: z.object({ bytesVerified: z.int().nonnegative(), seconds: z.number().nonnegative() }),
  },

  /**
   * Boots a throw-away overlay of the written disks, without network, and keeps a screenshot and the
   * console's log.
   */
  "boot-check": {
    input: z.object({
      ...ownedPoint,
      disks: disksOf(WrittenDisk),
      firmware: z.enum(["bios", "uefi"]),
      memoryMiB: z.int().positive(),
      timeoutSeconds: z.int().positive(),
      /** A text on the console that proves the system is up; a login prompt if absent. */
      expect: z.string().optional(),
      /** See `define-machine`. These are tried first. */
      systemDisks: z.array(DiskName).max(256).optional(),
    }),
    output: z.object({
      verdict: z.enum(["booted", "not-booted", "unknown"]),
      reason: z.string(),
      seconds: z.number().nonnegative(),
      /** Keys in the bucket. */
      screenshotKey: ObjectKey.optional(),
      consoleLogKey: ObjectKey.optional(),
    }),
  },

  /**
   * Fetches a boot image, checks every hash and the signature, and puts the files that start it beside the
   * boot loader. Changes no boot loader.
   */
  "stage-boot-image": {
    input: z.object({
      conversionId: RestarterId,
      bootImage: BootImageReference,
      accept: z.array(RuleName).default([]),
      /** Whether the boot environment is to fence the source; see `arm-boot`. */
      fenced: z.boolean().default(false),
    }),
    output: z.object({
      /** The boot loader adapter that will be used. */
      adapter: z.string(),
      bytesStaged: z.int().nonnegative(),
    }),
  },

  /**
   * Saves the boot state on the machine and in the bucket, and arms the boot loader for one start of the
   * staged image.
   */
  "arm-boot": {
    input: z.object({
      conversionId: RestarterId,
      /**
       * How long the boot environment may run without contact to the control plane before it restarts into
       * the original system.
       */
      deadlineSeconds: z.int().positive(),
      /** How long it may be without work; as long as without contact if absent. */
      idleSeconds: z.int().positive().optional(),
      /**
       * Of a cutover: the fence that is up, which the boot environment can put in force for the source's own
       * system. Nothing of it is in force before, so the disks that are copied have none.
       */
      fence: z.object({ term: z.int().positive() }).optional(),
      /** Rules that the operator accepted. The agent does not refuse because of them. */
      accept: z.array(RuleName).default([]),
    }),
    output: z.object({
      adapter: z.string(),
      /** The boot in which it was armed. An agent in another boot has been restarted since. */
      bootId: BootId,
      /** Key in the bucket, below the source's own prefix; written before this is answered. */
      savedStateKey: ObjectKey,
      savedStateSha256: Sha256,
      /** The saved items. An item without a hash did not exist or is not a file. */
      items: z.array(z.object({ name: z.string().max(1024), sha256: Sha256.optional() })).max(256),
    }),
  },

  /**
   * Restarts the machine. The agent answers first, waits for the acknowledgement, and then restarts, unless
   * the command is cancelled before. The command also ends when the agent connects from the requested system.
   */
  reboot: {
    input: z.object({
      conversionId: RestarterId,
      into: AgentSystem,
      /** Restart only out of this boot. In any other boot, the restart has already happened. */
      bootId: BootId.optional(),
    }),
    output: z.object({}),
  },

  /**
   * For the boot environment, which restores and compares the boot state before it connects: reports the
   * outcome.
   */
  "report-boot-state": {
    input: z.object({ conversionId: RestarterId }),
    output: z.object({
      /** Whether nothing is left of what arming wrote. If false, nothing is captured. */
      restored: z.boolean(),
      bootId: BootId,
      items: z.array(BootReceiptItem).max(256),
      /** With prefix lengths. */
      addresses: z.array(z.string().max(64)).max(64),
    }),
  },

  /**
   * For the original system: undoes what is left of arming, removes the staged files, compares the boot state
   * with the saved one, and signs the result.
   */
  "attest-boot-state": {
    input: z.object({ conversionId: RestarterId, requestedBy: z.string().max(256) }),
    output: z.object({ receipt: BootReceipt }),
  },

  /**
   * Checks recovery points in the repository: a sample of each, or everything that is stored of the source.
   * Changes nothing.
   */
  "check-repository": {
    input: z.object({
      ownerId: OwnerId,
      sourceId: AgentId,
      /** The points to judge: those that must be there. */
      pointIds: z.array(PointId).min(1).max(MAX_CHECKED_POINTS),
      whole: z.boolean(),
    }),
    output: RepositoryChecked,
  },

  ...proofCommands,
  ...machineCommands,

  ...machinePowerCommands,
  ...fenceCommands,

  /**
   * Releases what the owner used on this machine: removes images, capture positions and staged files, and
   * undoes arming. Repeating it is harmless.
   */
  release: {
    input: z.object({
      ownerId: OwnerId,
      /** What was computed to adapt its system stays, for images that are made later. */
      keepsAdaptation: z.literal(true).optional(),
    }),
    output: z.object({}),
  },
} as const satisfies Record<string, { input: z.ZodType; output: z.ZodType }>;

export type CommandKind = keyof typeof commandKinds;
export type CommandInput<K extends CommandKind> = z.infer<(typeof commandKinds)[K]["input"]>;
export type CommandOutput<K extends CommandKind> = z.infer<(typeof commandKinds)[K]["output"]>;

/** A command on the agent's command topic. The agent checks `input` against the schema of its kind. */
export const Command = z.object({
  type: z.literal("command"),
  commandId: CommandId,
  kind: z.string().max(100),
  input: z.unknown(),
  /** `original` if absent. An agent in the other system ignores the command. */
  environment: AgentSystem.optional(),
  requestedBy: z.string().max(256),
  issuedAt: Timestamp,
});
export type Command = z.infer<typeof Command>;

/** Tells the agent to stop working on a command, whose result is no longer needed. */
export const Cancellation = z.object({ type: z.literal("cancel"), commandId: CommandId });
export type Cancellation = z.infer<typeof Cancellation>;

/** Tells the agent that the control plane has this command's result, so its journal may forget it. */
export const Acknowledgement = z.object({ type: z.literal("acknowledge"), commandId: CommandId });
export type Acknowledgement = z.infer<typeof Acknowledgement>;

/** Everything that arrives on `causeway/agents/<agent>/commands`. */
export const ToAgent = z.discriminatedUnion("type", [Command, Cancellation, Acknowledgement]);
export type ToAgent = z.infer<typeof ToAgent>;
