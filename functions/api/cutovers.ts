import { adaptationNotes } from "#shared/domain/adapted-machine.ts";
import { type CutoverRecord, cutoverAsMachineOwner, isBefore } from "#shared/domain/cutover/cutover.ts";
import { rehearsalOf } from "#shared/domain/cutover/rehearsal.ts";
import { saidOf } from "#shared/domain/cutover/said.ts";
import { approvedCutover, editedCutover, goneCutover, heldCutover } from "#shared/domain/cutover/start.ts";
import { cutoverOf } from "#shared/domain/cutover/view.ts";
import { askedChecks } from "#shared/domain/isolated-checks.ts";
import { missingBridges } from "#shared/domain/missing-bridges.ts";
import { timesOf } from "#shared/domain/protection/plan-view.ts";
import type { Cutover } from "#shared/protocol/cutover.ts";
import { timestamp } from "../conversion/deps.ts";
import { beginCutover } from "../cutover/begin-cutover.ts";
import { buildCutovers } from "../cutover/build.ts";
import { copyingOf } from "../cutover/copying.ts";
import type { CutoverDeps } from "../cutover/deps.ts";
import { forecastFor, freshForecast } from "../cutover/forecast.ts";
import { outageSoFar } from "../cutover/outage-so-far.ts";
import { cancelByHand, rollBackByHand } from "../cutover/stop-cutover.ts";
import { beginIfDue } from "../cutover/wake-cutover.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import { bootReceiptOf } from "./boot-receipt.ts";
import { idForRequest } from "./id-for-request.ts";
import { keptProofOf } from "./proof-receipt.ts";

export const handler = apiHandler({
  name: "api/cutovers",
  build: buildCutovers,
  operations: {
    createCutover,
    listCutovers,
    getCutover,
    getCutoverReceipt,
    editCutover,
    goCutover,
    holdCutover,
    approveCutover,
    cancelCutover,
    rollBackCutover,
  },
});

export async function createCutover(
  { body, actor, idempotencyKey }: Call<"createCutover">,
  deps: CutoverDeps,
): Promise<Answer<"createCutover">> {
  const requestedBy = actorName(actor);
  const id = await idForRequest(
    { operation: "createCutover", prefix: "cut", actor: requestedBy, idempotencyKey, request: body },
    deps,
  );
  return shown(await beginCutover(body, { id, requestedBy }, deps), deps);
}

export async function listCutovers(
  { query }: Call<"listCutovers">,
  { store, clock }: CutoverDeps,
): Promise<Answer<"listCutovers">> {
  const { items, cursor } = await store.cutovers.page(query);
  return { items: items.map((one) => cutoverOf(one, clock.now())), cursor };
}

export async function getCutover(
  { path }: Call<"getCutover">,
  deps: CutoverDeps,
): Promise<Answer<"getCutover">> {
  return shown(await deps.store.cutovers.get(path.id), deps);
}

export async function getCutoverReceipt(
  { path }: Call<"getCutoverReceipt">,
  { store }: CutoverDeps,
): Promise<Answer<"getCutoverReceipt">> {
  const cutover = await store.cutovers.get(path.id);
  const proof = await keptProofOf(cutover, cutover.proveSeconds !== undefined, store);
  if (!cutover.attested && proof.state !== "not-asked") return { conversionId: cutover.id, proof };
  return { ...(await bootReceiptOf(cutover, store)), proof };
}

export function editCutover({ path, body, actor }: Call<"editCutover">, deps: CutoverDeps): Promise<Cutover> {
  const by = actorName(actor);
  const change = (one: CutoverRecord) => editedCutover(one, body, { by, now: deps.clock.now() });
  return changed({ id: path.id, by, action: "cutover-edited", details: body, change }, deps);
}

export async function goCutover({ path, actor }: Call<"goCutover">, deps: CutoverDeps): Promise<Cutover> {
  const by = actorName(actor);
  const now = deps.clock.now();
  const forecast = await freshForecast(await deps.store.cutovers.withCommands(path.id), deps);
  const change = (one: CutoverRecord) => goneCutover(one, { by, forecast }, now);
  return changed({ id: path.id, by, action: "cutover-go", change }, deps);
}

export function holdCutover({ path, actor }: Call<"holdCutover">, deps: CutoverDeps): Promise<Cutover> {
  return changed({ id: path.id, by: actorName(actor), action: "cutover-held", change: heldCutover }, deps);
}

export function approveCutover(
  { path, body, actor }: Call<"approveCutover">,
  deps: CutoverDeps,
): Promise<Cutover> {
  const by = actorName(actor);
  const change = (one: CutoverRecord) => approvedCutover(one, { by, ...body }, timestamp(deps.clock));
  return changed({ id: path.id, by, action: "cutover-approved", details: body, change }, deps);
}

export async function cancelCutover(
  { path, actor }: Call<"cancelCutover">,
  deps: CutoverDeps,
): Promise<Answer<"cancelCutover">> {
  return shown(await cancelByHand(path.id, actorName(actor), deps), deps);
}

export async function rollBackCutover(
  { path, actor }: Call<"rollBackCutover">,
  deps: CutoverDeps,
): Promise<Answer<"rollBackCutover">> {
  return shown(await rollBackByHand(path.id, actorName(actor), deps), deps);
}

/** Changes a cutover that has not begun, notes who did it, and looks whether it is to begin now. */
async function changed(
  request: {
    id: string;
    by: string;
    action: string;
    details?: Record<string, unknown>;
    change: (cutover: CutoverRecord) => CutoverRecord;
  },
  deps: CutoverDeps,
): Promise<Cutover> {
  const { id, by, action, details, change } = request;
  const { store, clock } = deps;
  const cutover = await store.cutovers.modify(id, change);
  await store.audit.add({ at: timestamp(clock), actor: by, action, subject: id, outcome: "done", details });
  await beginIfDue(cutover, deps);
  return shown(cutover, deps);
}

/**
 * With the forecast as of now, while that is of interest. What agents said is taken from the commands: one
 * that failed in its commit has ended before that is noted.
 */
async function shown(cutover: CutoverRecord, deps: CutoverDeps): Promise<Cutover> {
  const { commands } = await deps.store.cutovers.withCommands(cutover.id);
  const forecast = await forecastFor({ record: cutover, commands }, deps);
  const copying = await copyingOf(cutover, deps.store);
  const more = isBefore(cutover)
    ? await waitingOf(cutover, deps)
    : await outageSoFar(cutover, commands, deps.store);
  const disks = cutoverAsMachineOwner(cutover, commands).images?.slice();
  const networkChecks = askedChecks(cutover.networkChecks, commands);
  const adaptation = { rehearsal: rehearsalOf(cutover, commands), notes: adaptationNotes(commands) };
  const details = { ...adaptation, copying, disks, networkChecks, ...more };
  return cutoverOf({ ...cutover, ...saidOf(cutover, commands), forecast }, deps.clock.now(), details);
}

/** How it is kept up to date, and what its source and its target host lack, or may lack, for the outage. */
async function waitingOf(
  { sourceId, targetId, planId, planned }: CutoverRecord,
  { store: { agents, plans } }: CutoverDeps,
): Promise<Pick<Cutover, "syncs" | "fencedUnits" | "missingBridges">> {
  const [source, target, plan] = await Promise.all([
    agents.find(sourceId),
    agents.find(targetId),
    plans.find(planId),
  ]);
  const missing = missingBridges(planned.shape.cards, target?.inventory);
  return {
    ...(plan && { syncs: timesOf(plan) }),
    fencedUnits: source?.inventory?.fencedUnits,
    ...(missing.length > 0 && { missingBridges: missing }),
  };
}
