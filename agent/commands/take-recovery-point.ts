import { CausewayError } from "#shared/errors.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import { jsonBytes } from "#shared/protocol/message-size.ts";
import { type TakenDisk, TakenPoint } from "#shared/protocol/taken-point.ts";
import type { FirstReading } from "../consistency/consistent-view.ts";
import { type ChosenDiskView, type ChosenView, withBestView } from "../consistency/open-view.ts";
import { DataFile } from "../identity/identity.ts";
import { type Meter, ProgressMeter } from "../progress/progress-meter.ts";
import { newestDisks, type ParentDisk } from "../repository/newest-disks.ts";
import { listPoints } from "../repository/points.ts";
import type { Repository } from "../repository/repository.ts";
import {
  type CaptureDeps,
  type Captured,
  commitCaptures,
  findDisks,
  finishDisk,
  forgetJournals,
  forgetOldCaptures,
  openCapturesFolder,
  paceOf,
  type ReadDisk,
  readDisk,
  readDiskAgain,
} from "./captures.ts";
import type { ExecutionContext, Executor } from "./executor.ts";
import { fitDisks, takenDisk } from "./taken-disk.ts";

/** A recovery point of this id exists, and this agent has no record of taking it. */
export class PointNotOursError extends CausewayError {
  override readonly name = "PointNotOursError";
  readonly retryable = false;
  readonly hint = "The agent's data folder was lost, or the recovery point is another one. Start again.";
}

type Input = CommandInput<"take-recovery-point">;

/**
 * Takes a recovery point of some disks: opens one view of all of them, captures each against the newest
 * recovery point that has it, and commits. A repeated command returns the point that the first one made;
 * after an interruption, it continues where the capture stopped if the view shows the same content.
 */
export function takeRecoveryPointExecutor(deps: CaptureDeps): Executor<"take-recovery-point"> {
  return async (input, context) => {
    const { pointId, ownerId } = input;
    const before = deps.requests();
    await forgetOldCaptures(deps.dataDir, ownerId);
    const repository = await deps.repository();
    const folder = await openCapturesFolder(deps.dataDir, ownerId);
    const result = new DataFile(folder, `${pointId}.json`, TakenPoint);
    const points = await listPoints(repository);
    if (points.includes(pointId)) return committedBefore(pointId, await result.read());
    const parents = await newestDisks(repository, points, input.disks);
    const disks = await findDisks(deps, input.disks);
    return withBestView(disks, deps.views, { ...input, parents }, async (view) => {
      const work: Work = { view, input, context, repository, folder, parents };
      const { captures, ...taken } = await capture(deps, work);
      // Before the commit: a repeated command finds either no point or this result.
      await result.write({ pointId, ...taken, requests: deps.requests() - before });
      await commitCaptures(deps, repository, { pointId, captures });
      await view.committed();
      await forgetJournals(folder, input.disks);
      return { pointId, ...taken, requests: deps.requests() - before };
    });
  };
}

function committedBefore(pointId: string, result: TakenPoint | undefined): TakenPoint {
  if (result?.pointId !== pointId)
    throw new PointNotOursError(`there is already a recovery point ${pointId}, and no record of taking it`);
  return result;
}

interface Work {
  view: ChosenView;
  input: Input;
  context: ExecutionContext;
  repository: Repository;
  folder: string;
  parents: ReadonlyMap<string, ParentDisk>;
}

/** Captures all disks of one view. */
async function capture(
  deps: CaptureDeps,
  work: Work,
): Promise<{ captures: Captured[] } & Omit<TakenPoint, "pointId" | "requests">> {
  const { view, input, context, repository, folder, parents } = work;
  const options = { repository, signal: context.signal, ...paceOf(input, deps) };
  const meters = metersOf(view.disks, parents, context);
  const read = new Map<string, ReadDisk>();
  for (const [index, disk] of view.disks.entries()) {
    const own = { parent: parents.get(disk.name), folder, meter: meters.first(index) };
    read.set(disk.name, await readDisk(deps, disk, { ...options, ...own }));
  }
  await view.settle({
    signal: context.signal,
    first: new Map([...read].map(([name, { statistics }]) => [name, firstReading(statistics)])),
    readAgain: async (name, reading) => {
      const before = read.get(name);
      if (!before) throw new RangeError(`the view has no disk ${name}`);
      read.set(name, await readDiskAgain(deps, before, reading, { ...options, meter: meters.again(name) }));
    },
  });
  const captures: Captured[] = [];
  const disks: TakenDisk[] = [];
  for (const disk of view.disks) {
    const captured = await finishDisk(disk, read.get(disk.name) as ReadDisk);
    captures.push(captured);
    disks.push(takenDisk(disk, captured, parents.get(disk.name)));
  }
  const { freezeMilliseconds, frozen, hooks } = view;
  const more = { freezeMilliseconds, ...(frozen && { frozen }), ...(hooks && { hooks }) };
  return { captures, disks: fitDisks(disks, jsonBytes(more)), ...more };
}

function firstReading({ bytesResumed, sample }: ReadDisk["statistics"]): FirstReading {
  return { isContinued: bytesResumed > 0, differing: sample.differing };
}

/**
 * Meters that report as one transfer: of the first reading of each disk, with the name of the one that is
 * read now, and of readings that follow, which add to the total.
 */
function metersOf(
  disks: readonly ChosenDiskView[],
  parents: ReadonlyMap<string, ParentDisk>,
  { progress }: ExecutionContext,
): { first: (index: number) => Meter; again: (name: string) => Meter } {
  let note: { note?: string } = {};
  const meter = new ProgressMeter((report) => progress({ ...report, ...note }));
  const expected = disks.map((disk) => bytesToRead(disk, parents.get(disk.name)));
  meter.expect(expected.reduce((sum, bytes) => sum + bytes, 0));
  return {
    first: (index) => {
      if (disks.length > 1) note = { note: `disk ${index + 1} of ${disks.length}: ${disks[index]?.name}` };
      return meter.part(expected[index] ?? 0);
    },
    again: (name) => {
      note = { note: `what changed on ${name} while it was read` };
      return meter;
    },
  };
}

/** What a capture of the disk will read, if nothing unforeseen happens. */
function bytesToRead({ source, used, changes }: ChosenDiskView, parent: ParentDisk | undefined): number {
  const { sizeBytes } = source;
  const isTracked = !("unknown" in changes) && parent?.disk.sizeBytes === sizeBytes;
  const parts = isTracked ? changes.within(0, sizeBytes) : [{ offset: 0, length: sizeBytes }];
  return parts.reduce(
    (sum, { offset, length }) => sum + (used ? used.bytesWithin(offset, length) : length),
    0,
  );
}
