import * as z from "zod";
import { enteredState, requireGoing } from "#shared/domain/cutover/cutover.ts";
import { adviceOf } from "#shared/domain/cutover/start.ts";
import { type AfterRun, afterRun, requireDisks } from "#shared/domain/cutover/sync.ts";
import { WrongStateError } from "#shared/errors.ts";
import { SyncPhase } from "#shared/protocol/cutover.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { timestamp } from "../conversion/deps.ts";
import { freshForecast } from "../cutover/forecast.ts";
import { type PointDisks, pointDisks } from "../cutover/point-disks.ts";
import { requireStillRestartable } from "../cutover/restartable-source.ts";
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

/**
 * What is left of the window has become shorter. Throws `WrongStateError`: the source was not touched yet.
 */
async function requireFit(cutoverId: string, deps: StoreDeps): Promise<void> {
  const forecast = await freshForecast(await deps.store.cutovers.withCommands(cutoverId), deps);
  if (!forecast.fits)
    throw new WrongStateError(
      `the outage of cutover ${cutoverId} would not fit its window`,
      adviceOf(forecast),
    );
}

/**
 * Looks at the runs of a phase, of which the last one has ended, and says what follows; after the final sync,
 * of which point the machine is made. Repeating it changes nothing. Throws `CutoverStoppedError`,
 * `WindowClosedError`, `CutoverSyncError` if the standby did not follow or the copy is in doubt, and
 * `WrongStateError` if the copy has other disks than the machine; and, after the pre-sync, if the outage
 * would not fit any more, or `PreflightFailedError` if the source is to be restarted, and would not come
 * back.
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
    await requireFit(cutoverId, { store, clock });
    return after;
  }
  await store.cutovers.modify(cutoverId, (one) => ({
    ...enteredState(one, "checking", timestamp(clock)),
    final,
  }));
  return { ...after, ...final };
}
