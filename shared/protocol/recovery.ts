/** Recoveries: machines that are made of recovery points and stay, for a source that is gone. */
import * as z from "zod";
import { AnswerCheck } from "./answer-check.ts";
import { DiskFormat, Failure, Timestamp } from "./common.ts";
import { DefinedMachine, MachineAnswer } from "./defined-machine.ts";
import { AgentId, PointId, RecoveryId, ResourceId } from "./ids.ts";
import { MachineDesign } from "./machine-routes.ts";
import { NewAddresses, SystemAddress } from "./new-address.ts";
import { Proof, ProofBudget } from "./proof.ts";
import { identityChoice, SystemIdentity } from "./wanted-machine.ts";
import { WrittenDisk } from "./written-disk.ts";

export const NewRecovery = z.strictObject({
  /** The target host that makes and runs the machine. */
  targetId: ResourceId,
  /** If absent, the newest point that is neither pruned, nor known as damaged, nor as no true copy. */
  pointId: ResourceId.optional(),
  /**
   * `test`: the machine's cards reach only each other. `production`: it runs in place of its source, under
   * the source's lease.
   */
  network: z.enum(["test", "production"]),
  /**
   * The requester's word that the source is off, and every machine that ran in its place before. Production
   * needs it: a source that does not answer may still serve its clients.
   */
  othersOff: z.boolean().default(false),
  machine: MachineDesign,
  /**
   * Of its disks. If absent, `raw` if the standby is cloned, and `qcow2` otherwise. With `qcow2` they are
   * written from the repository, also if there is a standby.
   */
  format: DiskFormat.optional(),
  /** Whether its system is adapted to the machine before that starts. The target host needs a boot image. */
  adapt: z.boolean().default(false),
  /** What is new needs an adapted system. */
  ...identityChoice,
  /** What interfaces of its system get in place of their addresses; needs an adapted system. */
  addresses: NewAddresses.default([]),
  /**
   * For how many seconds files of the source are read, to compare them with the clone before its system is
   * adapted and started; not at all if absent. The source has to run. A difference ends the recovery.
   */
  proveSeconds: ProofBudget.optional(),
  /** What counts as the machine's first answer. */
  check: AnswerCheck.default({ kind: "console" }),
  answerTimeoutSeconds: z.int().min(10).max(7200).default(900),
});
export type NewRecovery = z.infer<typeof NewRecovery>;

/** `cancelling`: the operator asked for it, and the workflow has not ended yet. */
export const RecoveryState = z.enum(["running", "completed", "failed", "cancelling", "cancelled"]);
export type RecoveryState = z.infer<typeof RecoveryState>;

export const Recovery = z.object({
  id: RecoveryId,
  sourceId: AgentId,
  pointId: PointId,
  /** When the control plane recorded the point: what the source wrote later is not in it. */
  pointCreatedAt: Timestamp,
  targetId: AgentId,
  network: NewRecovery.shape.network,
  /** `completed`: the machine has answered. It stays, whichever way the recovery ends. */
  state: RecoveryState,
  /** What the comparison of files found; absent if none was asked for, or it has not ended. */
  proof: Proof.optional(),
  /** Of its adapted system; absent if that stays as it is. */
  identity: SystemIdentity.optional(),
  /** That its adapted system gets in place of its source's; absent if all stay. */
  addresses: z.array(SystemAddress).optional(),
  /** What an operator has to look after in that system; absent in lists, until it is adapted, and if none. */
  notes: z.array(z.string()).optional(),
  machine: DefinedMachine.optional(),
  /** Of the machine, as they were made; absent in lists, and until it has ended with one. */
  disks: z.array(WrittenDisk).optional(),
  answer: MachineAnswer.optional(),
  /** From the request until the control plane knew of the machine's first answer. */
  rtoSeconds: z.number().nonnegative().optional(),
  failure: Failure.optional(),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
});
export type Recovery = z.infer<typeof Recovery>;
