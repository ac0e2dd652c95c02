import { S3Client } from "@aws-sdk/client-s3";
import { cutoverHasEnded, isBefore } from "#shared/domain/cutover/cutover.ts";
import {
  deletedPlan,
  editedPlan,
  type PlanRecord,
  pausedPlan,
  requireKept,
  resumedPlan,
  runRequested,
} from "#shared/domain/protection/plan.ts";
import { planOf } from "#shared/domain/protection/plan-view.ts";
import { runOf } from "#shared/domain/protection/run.ts";
import type { Environment } from "#shared/environment.ts";
import { WrongStateError } from "#shared/errors.ts";
import type { Plan } from "#shared/protocol/protection.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { settleDrillAlarm } from "../alarm/drill-failed.ts";
import { S3PruneMarks } from "../aws/s3-prune-marks.ts";
import { timestamp } from "../conversion/deps.ts";
import { type Actor, actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import { beginPlan, requireOwnDisks, requireTarget } from "../protection/begin-plan.ts";
import { beginRun } from "../protection/begin-run.ts";
import { buildProtection } from "../protection/build.ts";
import { type DeletionDeps, finishDeletion, foreseenDeletion } from "../protection/delete-plan.ts";
import type { ProtectionDeps } from "../protection/deps.ts";
import { forgetStandbyOf } from "../protection/forget-standby.ts";
import { setSchedules, setWatch } from "../protection/schedules.ts";
import { type SettleDeps, settleAlarm } from "../protection/settle-alarm.ts";
import { idForRequest } from "./id-for-request.ts";

type Deps = DeletionDeps & SettleDeps;

export const handler = apiHandler({
  name: "api/plans",
  build,
  operations: {
    createPlan,
    listPlans,
    getPlan,
    editPlan,
    pausePlan,
    resumePlan,
    runPlan,
    listRuns,
    deletePlan,
    forgetStandby,
  },
});

function build(environment: Environment<"api/plans">, runtime: Runtime): Deps {
  return {
    ...buildProtection(environment, runtime),
    ...buildAlarmChannels(environment),
    marks: new S3PruneMarks(new S3Client(), environment.BUCKET_NAME),
  };
}

export async function createPlan(
  { body, actor, idempotencyKey }: Call<"createPlan">,
  deps: ProtectionDeps,
): Promise<Answer<"createPlan">> {
  const requestedBy = actorName(actor);
  const id = await idForRequest(
    { operation: "createPlan", prefix: "plan", actor: requestedBy, idempotencyKey, request: body },
    deps,
  );
  return shown(await beginPlan(body, { id, requestedBy }, deps), deps);
}

export async function listPlans(
  { query }: Call<"listPlans">,
  deps: ProtectionDeps,
): Promise<Answer<"listPlans">> {
  const { items, cursor } = await deps.store.plans.page(query);
  return { items: await Promise.all(items.map((plan) => shown(plan, deps))), cursor };
}

export async function getPlan({ path }: Call<"getPlan">, deps: ProtectionDeps): Promise<Answer<"getPlan">> {
  return shown(await deps.store.plans.get(path.id), deps);
}

export async function editPlan(
  { path, body, actor }: Call<"editPlan">,
  deps: Deps,
): Promise<Answer<"editPlan">> {
  await requireTarget(body.standbyTargetId, deps);
  await requireTarget(body.drills?.targetId, deps);
  if (body.disks) {
    const { sourceId } = await deps.store.plans.get(path.id);
    requireOwnDisks(body.disks, await deps.store.agents.get(sourceId));
  }
  if (body.standbyTargetId !== undefined) await requireStandbyFree(path.id, deps);
  const change = (plan: PlanRecord) => editedPlan(plan, body, deps.clock.now());
  return changed({ id: path.id, actor, action: "plan-edited", details: body, change }, deps);
}

export function pausePlan({ path, actor }: Call<"pausePlan">, deps: Deps): Promise<Answer<"pausePlan">> {
  return changed({ id: path.id, actor, action: "plan-paused", change: pausedPlan }, deps);
}

export async function resumePlan(
  { path, actor }: Call<"resumePlan">,
  deps: Deps,
): Promise<Answer<"resumePlan">> {
  const change = (plan: PlanRecord) => resumedPlan(plan, deps.clock.now());
  // First, so that a plan whose timer was not set after all is found.
  await setWatch(change(await deps.store.plans.get(path.id)), deps);
  return changed({ id: path.id, actor, action: "plan-resumed", change }, deps);
}

/** When the run of a paused plan is first looked after, and then every hour while it lasts. */
const RUN_WATCHED_AFTER_MS = 3600_000;

/** Also of a paused plan. If something else holds the source, the run is skipped and has the reason. */
export async function runPlan(
  { path, actor }: Call<"runPlan">,
  deps: ProtectionDeps,
): Promise<Answer<"runPlan">> {
  const { store, clock } = deps;
  const plan = await store.plans.get(path.id);
  requireKept(plan);
  const requestedBy = actorName(actor);
  const run = await beginRun(plan, { dueAt: clock.now(), trigger: "request", requestedBy }, deps);
  await store.plans.modify(plan.id, (current) => runRequested(current, run.id));
  // The watch of an active plan looks after this run, too.
  if (plan.state === "paused") await deps.timer.watch(plan.id, clock.now() + RUN_WATCHED_AFTER_MS);
  await store.audit.addOnce({
    at: run.startedAt,
    actor: requestedBy,
    action: "run-requested",
    subject: run.id,
    outcome: "done",
    details: { planId: plan.id, state: run.state },
  });
  return runOf(run);
}

export async function listRuns(
  { path, query }: Call<"listRuns">,
  { store }: ProtectionDeps,
): Promise<Answer<"listRuns">> {
  const plan = await store.plans.get(path.id);
  const { items, cursor } = await store.runs.page(plan.id, query);
  return { items: items.map(runOf), cursor };
}

/** In this order, each part may be repeated: a plan that is deleted begins no run. */
export async function deletePlan(
  { path, query, actor }: Call<"deletePlan">,
  deps: Deps,
): Promise<Answer<"deletePlan">> {
  const { dryRun, ...scope } = query;
  const { plans } = deps.store;
  await requireStandbyFree(path.id, deps);
  if (dryRun === "true") {
    const plan = await plans.get(path.id);
    return { dryRun: true, plan: await shown(plan, deps), ...(await foreseenDeletion(plan, scope, deps)) };
  }
  const request = { id: path.id, actor, action: "plan-deleted", details: scope, change: deletedPlan };
  await changed(request, deps);
  const parts = await finishDeletion(await plans.get(path.id), scope, actorName(actor), deps);
  return { dryRun: false, plan: await shown(await plans.get(path.id), deps), ...parts };
}

export async function forgetStandby(
  { path, actor }: Call<"forgetStandby">,
  deps: Deps,
): Promise<Answer<"forgetStandby">> {
  const { plans } = deps.store;
  await requireStandbyFree(path.id, deps);
  const standby = await forgetStandbyOf(await plans.get(path.id), actorName(actor), deps);
  return { plan: await shown(await plans.get(path.id), deps), standby };
}

/** A cutover's machine gets the standby's disks. One that waits for days would miss them in its window. */
async function requireStandbyFree(planId: string, { store }: Pick<ProtectionDeps, "store">): Promise<void> {
  const { cutoverId } = await store.plans.get(planId);
  const cutover = cutoverId === undefined ? undefined : await store.cutovers.find(cutoverId);
  if (!cutover || cutoverHasEnded(cutover)) return;
  throw new WrongStateError(
    `cutover ${cutover.id} needs plan ${planId} and its standby`,
    isBefore(cutover)
      ? `Cancel it first: \`causeway cutover cancel ${cutover.id}\`.`
      : `Wait until it has ended, or roll it back with \`causeway cutover rollback ${cutover.id}\`.`,
  );
}

/** Changes a plan, sets its schedules and its alarm accordingly, and notes who did it. */
async function changed(
  {
    id,
    actor,
    action,
    details,
    change,
  }: {
    id: string;
    actor: Actor;
    action: string;
    details?: Record<string, unknown>;
    change: (plan: PlanRecord) => PlanRecord;
  },
  deps: Deps,
): Promise<Plan> {
  const { store, clock } = deps;
  const plan = await store.plans.modify(id, change);
  await setSchedules(id, deps);
  await settleAlarm(id, deps);
  await settleDrillAlarm(plan, deps);
  const entry = { actor: actorName(actor), action, subject: id, outcome: "done", details } as const;
  await store.audit.add({ at: timestamp(clock), ...entry });
  return shown(plan, deps);
}

async function shown(plan: PlanRecord, { store, clock }: ProtectionDeps): Promise<Plan> {
  const { lastRunId, lastPoint: { runId: pointRunId } = {} } = plan;
  const find = async (id: string | undefined) => (id === undefined ? undefined : store.runs.find(id));
  const lastRun = await find(lastRunId);
  const pointRun = pointRunId === lastRunId ? lastRun : await find(pointRunId);
  return planOf(plan, { lastRun, pointRun }, clock.now());
}
