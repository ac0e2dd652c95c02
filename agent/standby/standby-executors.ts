import { StandbyNotAtPointError } from "#shared/errors.ts";
import type { Point } from "#shared/format/point.ts";
import type { CommandInput, CommandOutput } from "#shared/protocol/commands.ts";
import { STANDBY_FORMAT } from "#shared/protocol/written-disk.ts";
import type { ConversionImages } from "../commands/conversion-images.ts";
import type { ExecutionContext, Executors } from "../commands/executor.ts";
import { asCaptured } from "../commands/materialise.ts";
import { ProgressMeter } from "../progress/progress-meter.ts";
import { readPoint } from "../repository/points.ts";
import type { Repository } from "../repository/repository.ts";
import { applyPoint } from "./apply.ts";
import { cloneStandby } from "./clone.ts";
import type { Standbys } from "./standbys.ts";

export interface StandbyDeps {
  /** The repository that a conversion or run assigned to this host, for reading. */
  repository: (ownerId: string) => Promise<Repository>;
  standbys: Standbys;
  images: ConversionImages;
  /** At least 0, below 1. */
  random: () => number;
}

/** What is read again of what a point did not change: one leaf in a hundred, at most 256 MiB a disk. */
const SAMPLE = { fraction: 0.01, maxBytes: 256 * 2 ** 20 };

type StandbyKind = "apply-to-standby" | "check-standby" | "forget-standby" | "clone-standby";

/** What a target host does with standbys. */
export function standbyExecutors(deps: StandbyDeps): Required<Pick<Executors, StandbyKind>> {
  const { standbys } = deps;
  return {
    "apply-to-standby": async (input, context) => {
      const source = await deps.repository(input.ownerId);
      const point = asCaptured(await readPoint(source, input.pointId), input);
      return apply(deps, input.planId, { source, point, whole: false, context });
    },
    "check-standby": async ({ ownerId, planId, sourceId, whole }, context) => {
      const record = await standbys.read(planId);
      if (record?.sourceId !== sourceId || !record.pointId)
        throw new StandbyNotAtPointError(planId, "no recovery point of this source was applied here");
      const source = await deps.repository(ownerId);
      const point = await readPoint(source, record.pointId);
      return apply(deps, planId, { source, point, whole, context });
    },
    "forget-standby": async ({ planId }) => {
      await standbys.forget(planId);
      return {};
    },
    "clone-standby": (input, context) => clone(deps, input, context),
  };
}

interface Wanted {
  source: Repository;
  point: Point;
  whole: boolean;
  context: ExecutionContext;
}

async function apply(
  { standbys, random }: StandbyDeps,
  planId: string,
  { source, point, whole, context }: Wanted,
): Promise<CommandOutput<"apply-to-standby">> {
  const began = performance.now();
  const { disks, ...counts } = await applyPoint({
    ...{ standbys, planId, repository: source, point, whole },
    sampling: { ...SAMPLE, random },
    meter: new ProgressMeter(context.progress),
    signal: context.signal,
  });
  return {
    pointId: point.pointId,
    disks: disks.map(({ how, ...disk }) => ({ ...disk, ...how })),
    ...counts,
    seconds: (performance.now() - began) / 1000,
  };
}

async function clone(
  { standbys, images }: StandbyDeps,
  { ownerId, planId, sourceId, pointId, disks }: CommandInput<"clone-standby">,
  { signal }: ExecutionContext,
): Promise<CommandOutput<"clone-standby">> {
  const began = performance.now();
  const format = STANDBY_FORMAT;
  const planned = { sourceId, pointId, format, disks: disks.map(sizeOf) };
  await images.begin(ownerId, planned);
  const pathOf = (disk: string) => images.pathOf(ownerId, disk, format);
  const cloned = await cloneStandby({ standbys, planId, ...planned, pathOf, signal });
  await images.finish(ownerId, planned);
  return {
    disks: planned.disks.map((disk) => ({ ...disk, path: pathOf(disk.name), format })),
    ...cloned,
    seconds: (performance.now() - began) / 1000,
  };
}

const sizeOf = ({ name, sizeBytes }: { name: string; sizeBytes: number }) => ({ name, sizeBytes });
