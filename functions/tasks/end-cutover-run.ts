import * as z from "zod";
import { enteredState, requireGoing } from "#shared/domain/cutover/cutover.ts";
import { adviceOf } from "#shared/domain/cutover/start.ts";
import { type AfterRun, afterRun, requireDisks } from "#shared/domain/cutover/sync.ts";
import { WrongStateError } from "#shared/errors.ts";
import { SyncPhase } from "#shared/protocol/cutover.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { secondsBetween } from "#shared/seconds-between.ts";
import { timestamp } from "../conversion/deps.ts";
import { freshForecast } from "../cutover/forecast.ts";
import { type PointDisks, pointDisks } from "../cutover/point-disks.ts";
import { requireStillRestartable } from "../cutover/restartable-source.ts";
import { longWorkOfOthers } from "../cutover/target-work.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { buildStore } from "../store/build.ts";
import type { StoreDeps } from "../store/deps.ts";

export const Input = z.object({ cutoverId: CutoverId, phase: SyncPhase });

export const handler = taskHandler({
  name: "tasks/end-cutover-run",
  input: Input,
  build: buildStore,
  run,
});

/** How long to leave a target host alone that is at work for others: longer with each run. */
const BUSY_SECONDS = 60;
const LONGEST_BUSY_SECONDS = 600;

/**
 * After how many seconds to look again, because the target host is at work for others; `undefined` if it is
 * not. What is left of the window has become shorter, too: throws `WrongStateError` if the outage does not
 * fit any more. The source was not touched yet. `runs`: of this phase.
 */
async function secondsUntilFree(
  cutoverId: string,
  runs: number,
  deps: StoreDeps,
): Promise<number | undefined> {
  const asked = await deps.store.cutovers.withCommands(cutoverId);
  const now = timestamp(deps.clock);
  const work = await longWorkOfOthers(asked.record, deps.store, now);
  const forecast = await freshForecast(asked, deps);
  if (forecast.fits && !work) return undefined;
  if (forecast.fits) {
    // The last look is when it does not fit any more, and says why.
    const left = secondsBetween(now, asked.record.deadlineAt ?? now) - forecast.high;
    return Math.min(LONGEST_BUSY_SECONDS, BUSY_SECONDS * runs, Math.ceil(left) + 1);
  }
  const busy = work ? `, and target host ${work.agentId} is still at work for ${work.ownerId}` : "";
  throw new WrongStateError(
    `the outage of cutover ${cutoverId} would not fit its window${busy}`,
    adviceOf(forecast),
  );
}

/**
 * Looks at the runs of a phase, of which the last one has ended, and says what follows; after the final sync,
 * of which point the machine is made. While the target host is at work for others, another run follows.
 * Repeating it changes nothing. Throws `CutoverStoppedError`, `WindowClosedError`, `CutoverSyncError` if the
 * standby did not follow or the copy is in doubt, and `WrongStateError` if the copy has other disks than the
 * machine; and, after the pre-sync, if the outage would not fit any more, or `PreflightFailedError` if the
 * source is to be restarted, and would not come back.
 */
export async function run(
  { cutoverId, phase }: z.output<typeof Input>,
  { store, clock }: StoreDeps,
): Promise<AfterRun & Partial<PointDisks>> {
  const cutover = await store.cutovers.get(cutoverId);
  requireGoing(cutover, timestamp(clock));
  const ids = cutover.runs.filter((one) => one.phase === phase).map(({ id }) => id);
  const all = await Promise.all(ids.map((id) => store.runs.find(id)));
  const runs = all.flatMap((one) => (one && one.state !== "skipped" ? [one] : []));
  const after = afterRun(phase, runs);
  const pointId = runs.at(-1)?.pointId;
  if (phase === "baseline" || after.next !== "done" || pointId === undefined) return after;
  const final = await pointDisks(pointId, store);
  requireDisks(cutover, final.disks);
  if (phase === "pre-sync") {
    await requireStillRestartable(cutover, { store, clock });
    const waitSeconds = await secondsUntilFree(cutoverId, runs.length, { store, clock });
    return waitSeconds === undefined ? after : { next: "again", waitSeconds };
  }
  await store.cutovers.modify(cutoverId, (one) => ({
    ...enteredState(one, "checking", timestamp(clock)),
    final,
  }));
  return { ...after, ...final };
}
