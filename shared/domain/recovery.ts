/** A recovery: a machine made of a recovery point, which stays. Its record and its life cycle. */
import * as z from "zod";
import { type Failure, InvalidInputError, WrongStateError } from "../errors.ts";
import { AnswerCheck, needsNetwork } from "../protocol/answer-check.ts";
import { commandKinds } from "../protocol/commands.ts";
import { DiskFormat, Failure as FailureSchema, Timestamp } from "../protocol/common.ts";
import { DefinedMachine, MachineAnswer } from "../protocol/defined-machine.ts";
import { AgentId, DiskBytes, DiskName, PlanId, PointId, RecoveryId } from "../protocol/ids.ts";
import type { SystemAddress } from "../protocol/new-address.ts";
import { ProofReceipt } from "../protocol/proof.ts";
import { NewRecovery, Recovery, RecoveryState } from "../protocol/recovery.ts";
import type { RecoveryPoint } from "../protocol/resources.ts";
import { STANDBY_FORMAT } from "../protocol/written-disk.ts";
import { secondsBetween } from "../seconds-between.ts";
import { adaptationNotes, askedAdaptation, identityIn, newAddressesIn } from "./adapted-machine.ts";
import type { AgentRecord } from "./agent.ts";
import { requireAnswerable } from "./answerable.ts";
import { bootFirmware } from "./boot-hardware.ts";
import { requireBootable } from "./bootable-point.ts";
import type { CommandRecord } from "./command.ts";
import type { CommandOwner } from "./command-owner.ts";
import { requireRunning } from "./conversion.ts";
import { askerLack, isolatedChecks } from "./isolated-checks.ts";
import { LeaseRecord } from "./lease.ts";
import { definedDisks, type MachineOwner, plannedMachine } from "./machine.ts";
import { formerIn, networkOnMachine, requireNotFormer } from "./new-addresses.ts";
import type { PlanRecord } from "./protection/plan.ts";
import { requireProvable } from "./provable-point.ts";
import { cancellableTransitions, isFinal, move } from "./transitions.ts";

export const RecoveryRecord = z.object({
  id: RecoveryId,
  sourceId: AgentId,
  pointId: PointId,
  pointCreatedAt: Timestamp,
  targetId: AgentId,
  network: NewRecovery.shape.network,
  /** Whose standby on the target host is at the point already, and can be cloned. */
  standbyPlanId: PlanId.optional(),
  disks: z.array(z.object({ name: DiskName, sizeBytes: DiskBytes })),
  /** Of the disks; absent if it is that of whatever they are made of. */
  format: DiskFormat.optional(),
  firmware: z.enum(["bios", "uefi"]),
  /** The command that defines the machine, except for its images. */
  planned: commandKinds["define-machine"].input.omit({ disks: true, dryRun: true }),
  /** What the command that adapts its system needs, except for the images; absent if it stays as it is. */
  adaptation: commandKinds["adapt-machine"].input.pick({ sourceDisks: true, wanted: true }).optional(),
  /** What the command that hashes files of the source needs besides; absent if none are compared. */
  prove: commandKinds["hash-files"].input.pick({ frozenFrom: true, budgetSeconds: true }).optional(),
  proof: Recovery.shape.proof,
  proofReceipt: ProofReceipt.optional(),
  check: AnswerCheck,
  answerTimeoutSeconds: z.int(),
  /** In production: the source's lease about which the requester said that the machines are off. */
  leaseBefore: LeaseRecord.pick({ state: true, term: true }).optional(),
  state: RecoveryState,
  /** When it was decided that its machine keeps production. From then on it cannot be cancelled. */
  keptAt: Timestamp.optional(),
  machine: DefinedMachine.optional(),
  answer: MachineAnswer.optional(),
  rtoSeconds: z.number().optional(),
  failure: FailureSchema.optional(),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
  version: z.int(),
});
export type RecoveryRecord = z.infer<typeof RecoveryRecord>;

/** The newest point that a machine should be made of; `undefined` if there is none. */
export function newestSoundPoint(points: readonly RecoveryPoint[]): RecoveryPoint | undefined {
  return points
    .filter(({ prunedAt, checked }) => prunedAt === undefined && checked?.verdict !== "damaged")
    .filter(({ proved }) => proved?.outcome !== "different")
    .toSorted((a, b) => (a.id < b.id ? 1 : -1))[0];
}

/**
 * Throws `WrongStateError` if the point was pruned, or if it is unknown on which hardware it boots, and
 * `InvalidInputError` if it is another source's, if the machine is to have what the source's inventory does
 * not, or a card that leads out of a test network, if it could never answer, or not be asked there, or if a
 * system that is not adapted is to get a new identity or new addresses; what `systemAddresses` throws; and
 * `IsolatedCheckUnavailableError` if its target host cannot ask it there.
 */
export function newRecovery(
  request: NewRecovery,
  given: {
    id: string;
    point: RecoveryPoint;
    source: AgentRecord;
    target: AgentRecord;
    /** The one that protects the source. */
    plan: PlanRecord | undefined;
    lease: LeaseRecord;
    requestedBy: string;
    now: string;
  },
): RecoveryRecord {
  const { id, point, source, target, plan, lease, requestedBy, now } = given;
  requireFitting(request, point, source);
  const names = point.disks.map(({ name }) => name);
  const { targetId, network, check, answerTimeoutSeconds, format } = request;
  const firmware = bootFirmware(source.inventory, names);
  const cards = request.machine.cards.length > 0 ? request.machine.cards : [ISOLATED];
  const owner = { id, sourceId: source.id, targetId, pointId: point.id, disks: names, firmware };
  const isAtPoint = plan?.standbyTargetId === targetId && plan.standbyPointId === point.id;
  const planned = plannedMachine(
    { ...request.machine, cards },
    { owner: { ...owner, images: undefined }, inventory: source.inventory },
  );
  const adaptation = adaptationOf(request, planned, point, source);
  const addresses = newAddressesIn(adaptation) ?? [];
  requireNotFormer(check, addresses);
  // What can be seen without any network is seen before a client reaches it.
  const isolated = network === "production" && !needsNetwork(check) && { isolated: true as const };
  return {
    ...{ id, sourceId: source.id, pointId: point.id, pointCreatedAt: point.createdAt, targetId, network },
    standbyPlanId: isAtPoint && (format ?? STANDBY_FORMAT) === STANDBY_FORMAT ? plan.id : undefined,
    disks: point.disks.map(({ name, sizeBytes }) => ({ name, sizeBytes })),
    ...{ format, firmware },
    planned: {
      ...{ ...planned, ...isolated, ...isolatedOf(request, { planned, addresses, source, target }) },
      ...formerIn(addresses),
    },
    adaptation,
    prove: proofOf(request, point, source),
    leaseBefore: network === "production" ? { state: lease.state, term: lease.term } : undefined,
    ...{ check, answerTimeoutSeconds, state: "running", requestedBy, createdAt: now, version: 0 },
  };
}

function adaptationOf(
  request: NewRecovery,
  { shape }: RecoveryRecord["planned"],
  { disks }: RecoveryPoint,
  { inventory }: AgentRecord,
): RecoveryRecord["adaptation"] {
  const purpose = request.network === "production" ? "production" : "drill";
  return askedAdaptation(request, purpose, { shape, disks, inventory });
}

/**
 * How the machine is asked on the test network. Throws `InvalidInputError` if it cannot be asked everything
 * there, and `IsolatedCheckUnavailableError` if its target host cannot ask it.
 */
function isolatedOf(
  { network: kind, check }: NewRecovery,
  given: {
    planned: Pick<RecoveryRecord["planned"], "hypervisor" | "shape">;
    addresses: readonly SystemAddress[];
    source: AgentRecord;
    target: AgentRecord;
  },
): Pick<RecoveryRecord["planned"], "isolatedNetworks"> {
  if (kind === "production" || !needsNetwork(check)) return {};
  const { hypervisor, shape } = given.planned;
  const { network } = given.source.inventory ?? {};
  const inventory = network && { network: networkOnMachine(network, given.addresses) };
  const { networks, shown } = isolatedChecks(check, { hypervisor, cards: shape.cards, inventory });
  const problems = shown.filter(({ beforeCommit }) => beforeCommit === "no");
  if (problems.length > 0)
    throw new InvalidInputError(
      problems.map((one) => ({
        path: "check",
        message: `${one.check} cannot be asked on the test network: ${one.why}`,
      })),
    );
  const lack = askerLack(given.target);
  if (lack) throw lack;
  return { isolatedNetworks: networks };
}

/** Throws `InvalidInputError` in production, where the source is off, and what `requireProvable` throws. */
function proofOf(
  { network, proveSeconds: budgetSeconds }: NewRecovery,
  point: RecoveryPoint,
  source: AgentRecord,
): RecoveryRecord["prove"] {
  if (budgetSeconds === undefined) return undefined;
  if (network === "production")
    throw new InvalidInputError([
      {
        path: "proveSeconds",
        message: "a recovery in production has a source that is off, so its files cannot be read",
      },
    ]);
  return { frozenFrom: requireProvable(point, source), budgetSeconds };
}

const ISOLATED = { link: { kind: "isolated" as const } };

function requireFitting(request: NewRecovery, point: RecoveryPoint, source: AgentRecord): void {
  if (point.sourceId !== source.id)
    throw new InvalidInputError([{ path: "pointId", message: `${point.id} is not of source ${source.id}` }]);
  requireBootable(point, source);
  requireNetwork(request);
  requireAnswerable(request.check);
}

function requireNetwork({ network, othersOff, machine: { cards } }: NewRecovery): void {
  const leaving = cards.findIndex(({ link }) => link.kind !== "isolated");
  if (network === "test" && leaving >= 0)
    throw new InvalidInputError([
      { path: `machine.cards.${leaving}`, message: "leads out of the test network" },
    ]);
  if (network === "production" && leaving < 0)
    throw new InvalidInputError([
      { path: "machine.cards", message: "a machine in production needs a card that is not isolated" },
    ]);
  if (network === "production" && !othersOff)
    throw new InvalidInputError([
      {
        path: "othersOff",
        message:
          "only if the source, and every machine that ran in its place, is off can this one run in production",
      },
    ]);
}

/** The input of the workflow's execution, from the record alone, so that a repeated start sends the same. */
export function recoveryInput(recovery: RecoveryRecord) {
  const { id, pointId, sourceId, targetId, disks, firmware, planned, check } = recovery;
  const { standbyPlanId, answerTimeoutSeconds, network, adaptation, prove, format } = recovery;
  return {
    ...{ recoveryId: id, network, pointId, sourceId, targetId, disks, firmware },
    ...{ planned: { ...planned, dryRun: false }, check, timeoutSeconds: answerTimeoutSeconds },
    ...(standbyPlanId === undefined ? {} : { standbyPlanId }),
    ...(format === undefined ? {} : { format }),
    ...(adaptation === undefined ? {} : { adaptation }),
    ...(prove === undefined ? {} : { prove }),
  };
}

export function recoveryHasEnded({ state }: RecoveryRecord): boolean {
  return isFinal(cancellableTransitions, state);
}

/** Throws `RecoveryCancelledError` if it was cancelled, and `WrongStateError` if it has ended. */
export function requireRunningRecovery(recovery: RecoveryRecord): RecoveryRecord {
  requireRunning(recoveryAsOwner(recovery));
  return recovery;
}

/**
 * The recovery, whose machine is to keep production; it can no longer be cancelled. Repeating it changes
 * nothing. Throws `RecoveryCancelledError` if it was cancelled, and `WrongStateError` if it has ended.
 */
export function keepingRecovery(recovery: RecoveryRecord, now: string): RecoveryRecord {
  requireRunningRecovery(recovery);
  return recovery.keptAt === undefined ? { ...recovery, keptAt: now } : recovery;
}

/**
 * The recovery, being cancelled. Cancelling again changes nothing. Throws `WrongStateError` if it has
 * completed or failed, or if its machine keeps production.
 */
export function cancellingRecovery(recovery: RecoveryRecord): RecoveryRecord {
  const { id, state, keptAt } = recovery;
  if (state === "cancelling" || state === "cancelled") return recovery;
  if (state === "running" && keptAt !== undefined)
    throw new WrongStateError(
      `the machine of ${id} has answered, and keeps production`,
      `\`causeway machine stop ${id}\` shuts it down.`,
    );
  return { ...recovery, state: moved(recovery, "cancelling") };
}

/**
 * The recovery, completed: its machine has answered. Repeating it changes nothing. Throws
 * `RecoveryCancelledError` if it was cancelled.
 */
export function completedRecovery(
  recovery: RecoveryRecord,
  { machine, answer }: { machine: DefinedMachine; answer: MachineAnswer },
  now: string,
): RecoveryRecord {
  if (recovery.state === "completed") return recovery;
  requireRunningRecovery(recovery);
  const rtoSeconds = Math.max(0, secondsBetween(recovery.createdAt, now));
  return { ...recovery, state: moved(recovery, "completed"), machine, answer, rtoSeconds, endedAt: now };
}

/** The recovery, failed, or cancelled if the operator asked for that. One that has ended stays as it is. */
export function abandonedRecovery(recovery: RecoveryRecord, failure: Failure, now: string): RecoveryRecord {
  if (recoveryHasEnded(recovery)) return recovery;
  if (recovery.state === "cancelling")
    return { ...recovery, state: moved(recovery, "cancelled"), endedAt: now };
  return { ...recovery, state: moved(recovery, "failed"), failure, endedAt: now };
}

/** The recovery's disks stay once its machine may be defined, however it ends. */
export function recoveryAsMachineOwner(
  recovery: RecoveryRecord,
  commands: readonly CommandRecord[],
): MachineOwner {
  const { id, sourceId, targetId, pointId, disks, firmware, network } = recovery;
  const images = recoveryHasEnded(recovery) ? definedDisks(commands) : undefined;
  return { id, sourceId, targetId, pointId, firmware, network, disks: disks.map(({ name }) => name), images };
}

export function recoveryAsOwner(recovery: RecoveryRecord): CommandOwner {
  const { id, sourceId, targetId, requestedBy, state, pointId } = recovery;
  return { id, sourceId, targetId, requestedBy, state, pointId };
}

/** The recovery as the API shows it. `commands`: of the recovery; none in lists. */
export function recoveryOf(recovery: RecoveryRecord, commands: readonly CommandRecord[] = []): Recovery {
  const { id, sourceId, pointId, pointCreatedAt, targetId, network, state, machine, answer } = recovery;
  const { proof, rtoSeconds, failure, requestedBy, createdAt, endedAt } = recovery;
  return {
    ...{
      id,
      sourceId,
      pointId,
      pointCreatedAt,
      targetId,
      network,
      state,
      proof,
      identity: identityIn(recovery.adaptation),
      addresses: newAddressesIn(recovery.adaptation),
      notes: adaptationNotes(commands),
      machine,
      disks: recoveryAsMachineOwner(recovery, commands).images?.slice(),
      answer,
      rtoSeconds,
    },
    ...{ failure, requestedBy, createdAt, endedAt },
  };
}

function moved<S extends RecoveryState>(recovery: RecoveryRecord, to: S): S {
  return move(cancellableTransitions, `recovery ${recovery.id}`, recovery.state, to);
}
