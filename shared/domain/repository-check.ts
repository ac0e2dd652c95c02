/** A check of a source's recovery points by a target host: its record, and what is checked by whom. */
import * as z from "zod";
import { type Failure, WrongStateError } from "../errors.ts";
import { Failure as FailureSchema, Timestamp } from "../protocol/common.ts";
import { AgentId, CheckId, PointId } from "../protocol/ids.ts";
import {
  type Check,
  CheckState,
  MAX_CHECKED_POINTS,
  RepositoryChecked,
} from "../protocol/repository-check.ts";
import type { RecoveryPoint } from "../protocol/resources.ts";
import type { AgentRecord } from "./agent.ts";
import type { NewAlarm } from "./alarm.ts";
import type { CommandOwner } from "./command-owner.ts";
import { isFinal, move, type Transitions } from "./transitions.ts";

const checkTransitions: Transitions<CheckState> = {
  running: ["completed", "failed"],
  completed: [],
  failed: [],
};

export const CheckRecord = z.object({
  id: CheckId,
  sourceId: AgentId,
  targetId: AgentId,
  /** The points to judge. */
  pointIds: z.array(PointId),
  whole: z.boolean(),
  state: CheckState,
  result: RepositoryChecked.optional(),
  failure: FailureSchema.optional(),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
  version: z.int(),
});
export type CheckRecord = z.infer<typeof CheckRecord>;

/** Of a sample: few, so that the target host is soon free for its standbys again. */
const SAMPLED_POINTS = 16;

type Checkable = Pick<RecoveryPoint, "id" | "prunedAt" | "checked">;

/**
 * The points to check: the newest, then those whose last check is longest ago, so that samples get round to
 * all of them. Pruned points are left out. A whole check judges as many as a message holds, and first those
 * that were found damaged: only a whole check says that they are sound.
 */
export function pointsToCheck(points: readonly Checkable[], whole: boolean): string[] {
  const living = points.filter(({ prunedAt }) => prunedAt === undefined);
  const [newest, ...others] = living.toSorted((a, b) => b.id.localeCompare(a.id));
  if (!newest) return [];
  if (whole) others.sort((a, b) => Number(isDamaged(b)) - Number(isDamaged(a)));
  else others.sort((a, b) => (a.checked?.at ?? "").localeCompare(b.checked?.at ?? ""));
  const most = whole ? MAX_CHECKED_POINTS : SAMPLED_POINTS;
  return [newest, ...others].slice(0, most).map(({ id }) => id);
}

/** Whether a point that is still there was found damaged: then a sample does not say enough. */
export function hasDamage(points: readonly Checkable[]): boolean {
  return points.some((point) => point.prunedAt === undefined && isDamaged(point));
}

function isDamaged({ checked }: Checkable): boolean {
  return checked?.verdict === "damaged";
}

/**
 * The target host that checks: connected, and if possible one that keeps no standby, since a check delays
 * what else the host has to do. `undefined` if none is connected.
 */
export function chooseChecker(
  targets: readonly AgentRecord[],
  keepsStandby: ReadonlySet<string>,
): AgentRecord | undefined {
  const able = targets.filter(
    ({ revokedAt, presence }) => revokedAt === undefined && presence.state === "connected",
  );
  return able.find(({ id }) => !keepsStandby.has(id)) ?? able[0];
}

/** The check, completed. Repeating it changes nothing. Throws `WrongStateError` if it has failed. */
export function completedCheck(check: CheckRecord, result: RepositoryChecked, now: string): CheckRecord {
  if (check.state === "completed") return check;
  if (check.state === "failed") throw new WrongStateError(`check ${check.id} has failed`);
  return { ...check, state: moved(check, "completed"), result, endedAt: now };
}

/** The check, failed. One that has ended stays as it is. */
export function failedCheck(check: CheckRecord, failure: Failure, now: string): CheckRecord {
  if (isFinal(checkTransitions, check.state)) return check;
  return { ...check, state: moved(check, "failed"), failure, endedAt: now };
}

/** What the check found of the points that it was to judge. An agent's word on others does not count. */
export function verdictsOf({ pointIds, result }: CheckRecord): RepositoryChecked["points"] {
  return (result?.points ?? []).filter(({ pointId }) => pointIds.includes(pointId));
}

/** Whether the check found anything that is not as it must be. */
export function foundDamage(check: CheckRecord): boolean {
  const { problems = [] } = check.result ?? {};
  return problems.length > 0 || verdictsOf(check).some(({ verdict }) => verdict === "damaged");
}

/** The alarm of a check that found damage. */
export function damageAlarm(check: CheckRecord, source: Pick<AgentRecord, "name">, now: string): NewAlarm {
  const { id: checkId, sourceId, result, whole } = check;
  const damaged = verdictsOf(check).filter(({ verdict }) => verdict === "damaged");
  const [first = "the target host named no object", ...others] = result?.problems ?? [];
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  return {
    kind: "repository-damaged",
    subject: sourceId,
    sourceId,
    sourceName: source.name,
    since: now,
    cause: `${damaged.length} recovery points of ${source.name} are damaged, by a ${whole ? "whole check" : "sample"}: ${first}${more}.`,
    action: `\`causeway repo check ${sourceId}\` names each damaged object and what needs it. Restore the objects' earlier versions, or prune the damaged points once a newer one is sound.`,
    details: { checkId, pointIds: damaged.map(({ pointId }) => pointId).slice(0, 20) },
  };
}

/** The check as the API shows it. */
export function checkOf({ pointIds: _, version: _version, ...check }: CheckRecord): Check {
  return check;
}

export function checkAsOwner({ id, sourceId, targetId, requestedBy, state }: CheckRecord): CommandOwner {
  return { id, sourceId, targetId, requestedBy, state };
}

function moved<S extends CheckState>(check: CheckRecord, to: S): S {
  return move(checkTransitions, `check ${check.id}`, check.state, to);
}
