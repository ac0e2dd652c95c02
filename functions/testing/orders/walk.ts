import { cutoverHasEnded } from "#shared/domain/cutover/cutover.ts";
import { LEASE_MARGIN_SECONDS, LEASE_SECONDS } from "#shared/domain/lease.ts";
import type { CutoverState } from "#shared/protocol/cutover.ts";
import type { ProofOutcome } from "#shared/protocol/proof.ts";
import { quiesces } from "#shared/protocol/quiesce.ts";
import { planId } from "../site-records.ts";
import type { Conditions } from "./conditions.ts";
import { OrderWorld } from "./order-world.ts";

/** What a step may take beyond the deadline if the scheduler's call was lost. */
const LATE_STEP_SECONDS = 121;
/** The stated bound for "neither runs", with the time of a message and of a scheduler, and unequal clocks. */
const NEITHER_SECONDS = LEASE_SECONDS + LEASE_MARGIN_SECONDS + 15;
/** What the source may take to come back from its boot environment, besides. */
const RESTART_SECONDS = 300;
/** Longer than the longest wait of the workflow between two tries of a step that undoes or connects. */
const LAST_TRIES_MS = 3 * 3600 * 1000;

/**
 * Walks one order of events, until everything works again and for some hours after that. Returns how the
 * cutover ended, how many of the conditions' happenings came about, and what its proof found. Rejects if two
 * ran at any time, if a machine got the permanent right to run after the deadline, if none or two run after
 * the bound, if anything was copied again, if a machine has an old content or is left after a way back, if
 * the cutover began without the proof that was asked for, or if it does not end.
 */
export async function walkOrder(
  conditions: Conditions,
): Promise<{ state: CutoverState; happened: number; proof?: ProofOutcome | undefined }> {
  const ends: (() => Promise<void>)[] = [];
  const world = await OrderWorld.start(conditions, (end) => ends.push(end));
  try {
    await world.site.passUntil(`0:${conditions.calmMinute}`);
    await world.calm();
    await world.passWindows();
    const restartSeconds = quiesces[conditions.quiesce].restartsSource ? RESTART_SECONDS : 0;
    await world.site.pass((LATE_STEP_SECONDS + NEITHER_SECONDS + restartSeconds) * 1000);
    await world.startByHand();
    require(world.running === 1, `${world.running} run after the bound`);
    await world.end();
    await world.site.pass(LAST_TRIES_MS);
    await world.startByHand();
    await requireEnd(world);
    await requireDecision(world);
    await requireProof(world, conditions);
    const { state, proof } = await world.cutover();
    await requireNothingAgain(world);
    require(world.site.states.faults.length === 0, String(world.site.states.faults[0]));
    return { state, happened: world.happened, proof: proof?.outcome };
  } finally {
    for (const end of ends) await end();
  }
}

async function requireEnd(world: OrderWorld): Promise<void> {
  const cutover = await world.cutover();
  require(cutoverHasEnded(cutover), `it is still ${cutover.state}`);
  require(world.running === 1, `${world.running} run at the end`);
  require(world.site.world.timer.cutovers.size === 0, "its timer is still armed");
}

/** Who has the right to run at the end got it in time, and has what the source acknowledged. */
async function requireDecision(world: OrderWorld): Promise<void> {
  const { site, source, target } = world;
  const { state, deadlineAt = "" } = await world.cutover();
  const lease = await site.lease();
  if (lease.state !== "permanent") {
    require(lease.state === "none" && source.serves, `the lease is ${lease.state}`);
    require(state !== "completed", "it has completed, and the machine has no right to run");
    require(target.machines.size === 0, "its machine is left on the target host");
    return;
  }
  require((lease.moved?.at ?? "") < deadlineAt, `it committed at ${lease.moved?.at}, after ${deadlineAt}`);
  require(["completed", "failed"].includes(state), `it has committed, and is ${state}`);
  const [machine] = target.running;
  require(machine !== undefined, "its machine does not run");
  require(source.points.get(machine.pointId) ===
    lease.term, "the machine lacks what was written before the source was fenced");
  require(state === "failed" || machine.isConnected, "it has completed, and no client reaches the machine");
}

/**
 * What was to be proved was, before the cutover began. A difference ended it before its source was touched,
 * or, if the boot environment had read the files, led back to the source.
 */
async function requireProof({ site, id, source }: OrderWorld, { proves }: Conditions): Promise<void> {
  const { state, deadlineAt, proof } = await site.cutover(id);
  require(proves !== false || proof === undefined, "files were compared that were not to be");
  require(proves === false || deadlineAt === undefined || proof !== undefined, "it began without a proof");
  require(proof?.outcome !== "equal" || proves === "equal", "it was proved, although files are not equal");
  if (proof?.outcome !== "different") return;
  require(proves === "different", "files that are equal were found to differ");
  if (proof.hashed?.system !== undefined)
    return require(state === "rolled-back", "it continued with a wrong copy");
  require(["failed", "cancelled"].includes(state) && source.fence.term === 0, "it began with a wrong copy");
}

/** One baseline at most, and the next cutover finds the standby where this one left it. */
async function requireNothingAgain(world: OrderWorld): Promise<void> {
  const { store } = world.site.world;
  const { runs } = await world.cutover();
  const baselines = runs.filter(({ phase }) => phase === "baseline");
  const records = await Promise.all(baselines.map(({ id }) => store.runs.get(id)));
  const copied = records.filter(({ result }) => result?.standby?.state === "applied");
  require(copied.length <= 1, `${copied.length} baselines`);
  const { standbyPointId } = await store.plans.get(planId);
  if (standbyPointId === undefined || !world.source.serves) return;
  world.id = await world.site.create({ mode: "hold", windows: TOMORROW });
  await world.site.pass(60_000);
  const next = await world.cutover();
  require(next.state === "waiting" && next.runs.length === 0, `the next one is ${next.state}`);
}

const TOMORROW = [{ firstDay: "2030-01-02", from: "01:00", to: "02:00", timeZone: "UTC" }];

function require(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new Error(what);
}
