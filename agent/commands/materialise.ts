import { stat } from "node:fs/promises";
import { RecoveryPointUnexpectedError } from "#shared/errors.ts";
import type { Point, PointDisk } from "#shared/format/point.ts";
import { createDiskImage } from "../disk-image/disk-image.ts";
import { requireRoom } from "../disk-image/image-file.ts";
import { ProgressMeter } from "../progress/progress-meter.ts";
import { readPoint } from "../repository/points.ts";
import type { Repository } from "../repository/repository.ts";
import { restoreDisk } from "../restore/restore.ts";
import type { ConversionImages } from "./conversion-images.ts";
import type { Executor } from "./executor.ts";

export interface TargetDeps {
  /** The repository that a conversion or drill assigned to this host, for reading. */
  repository: (ownerId: string) => Promise<Repository>;
  images: ConversionImages;
}

/**
 * Writes every disk of a recovery point as an image. Keeps images that an earlier attempt finished;
 * verification reads them whole. Before it writes anything, it compares the recovery point with what was
 * captured, and its disks with the free space.
 */
export function materialiseExecutor({ repository, images }: TargetDeps): Executor<"materialise"> {
  return async (input, { signal, progress }) => {
    const { ownerId, sourceId, pointId, format } = input;
    const began = performance.now();
    const source = await repository(ownerId);
    const { disks } = asCaptured(await readPoint(source, pointId), input);
    const planned = { sourceId, pointId, format, disks: disks.map(sizeOf) };
    const folder = await images.begin(ownerId, planned);
    const pathOf = (disk: PointDisk) => images.pathOf(ownerId, disk.name, format);
    const missing = [];
    for (const disk of disks) if (!(await exists(pathOf(disk)))) missing.push(disk);
    await requireRoom(folder, sum(missing));
    const meter = new ProgressMeter(progress);
    meter.expect(sum(disks));
    meter.skip(sum(disks) - sum(missing));
    for (const disk of missing) {
      const image = await createDiskImage({
        path: pathOf(disk),
        format,
        sizeBytes: disk.sizeBytes,
        contentBytes: disk.usedBytes,
      });
      try {
        await restoreDisk({ repository: source, disk, sink: image, meter, signal });
        await image.finish();
      } finally {
        await image.abort();
      }
    }
    await images.finish(ownerId, planned);
    const seconds = (performance.now() - began) / 1000;
    const written = disks.map((disk) => ({ ...sizeOf(disk), path: pathOf(disk), format }));
    return { disks: written, bytesWritten: sum(missing), seconds };
  };
}

const sum = (disks: readonly PointDisk[]): number => disks.reduce((total, disk) => total + disk.usedBytes, 0);
const sizeOf = ({ name, sizeBytes }: PointDisk) => ({ name, sizeBytes });

/** The recovery point, if it has this source and these disks; throws `RecoveryPointUnexpectedError`. */
export function asCaptured(
  point: Point,
  { sourceId, disks }: { sourceId: string; disks: readonly { name: string; sizeBytes: number }[] },
): Point {
  if (point.sourceId !== sourceId)
    throw new RecoveryPointUnexpectedError(point.pointId, `it belongs to the source ${point.sourceId}`);
  const listed = (all: readonly { name: string; sizeBytes: number }[]) =>
    all
      .map(({ name, sizeBytes }) => `${name} of ${sizeBytes} bytes`)
      .sort()
      .join(", ");
  if (listed(point.disks) !== listed(disks))
    throw new RecoveryPointUnexpectedError(
      point.pointId,
      `it has ${listed(point.disks)}; captured were ${listed(disks)}`,
    );
  return point;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
