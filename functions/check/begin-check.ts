import type { AgentRecord } from "#shared/domain/agent.ts";
import {
  type CheckRecord,
  chooseChecker,
  hasDamage,
  pointsToCheck,
} from "#shared/domain/repository-check.ts";
import type { Store } from "../store/store.ts";

interface WantedCheck {
  id: string;
  sourceId: string;
  /** Whether to read everything that is stored of the source. */
  whole: boolean;
  requestedBy: string;
  createdAt: string;
}

/**
 * Stores the check of a source's recovery points with the points and the target host that it chooses; a
 * repetition finds the same check. A repository in which damage was found is checked whole until it is sound.
 * Returns why there is no check if the source has no points, or if no target host is connected.
 */
export async function beginCheck(
  { sourceId, whole: wanted, ...given }: WantedCheck,
  store: Store,
): Promise<CheckRecord | "no-points" | "no-target"> {
  const known = await store.checks.find(given.id);
  if (known) return known;
  const points = await store.points.ofSource(sourceId);
  const alarm = await store.alarms.find({ kind: "repository-damaged", subject: sourceId });
  const whole = wanted || alarm?.state === "open" || hasDamage(points);
  const pointIds = pointsToCheck(points, whole);
  if (pointIds.length === 0) return "no-points";
  const target = await checker(store);
  if (!target) return "no-target";
  const chosen = { sourceId, targetId: target.id, pointIds, whole };
  return store.checks.add({ ...given, ...chosen, state: "running", version: 0 });
}

async function checker({ agents, plans }: Store): Promise<AgentRecord | undefined> {
  const { items: targets } = await agents.page("target", { limit: 200 });
  const { items: protecting } = await plans.page({ limit: 200 });
  const keepsStandby = new Set(protecting.flatMap(({ standbyTargetId }) => standbyTargetId ?? []));
  return chooseChecker(targets, keepsStandby);
}
