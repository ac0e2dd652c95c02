import { NotFoundError, RecoveryPointUnexpectedError } from "#shared/errors.ts";
import type { Point, PointDisk } from "#shared/format/point.ts";
import type { RecoveryPoint } from "#shared/protocol/resources.ts";

/**
 * The disk of a recovery point that its source wrote, if it is what the control plane recorded when the point
 * was made: a point that names a larger disk could fill this machine's storage.
 */
export function recordedDisk(point: Point, recorded: RecoveryPoint, name: string): PointDisk {
  const disk = point.disks.find((candidate) => candidate.name === name);
  if (!disk) {
    const names = point.disks.map((one) => one.name).join(", ");
    throw new NotFoundError(`disk in recovery point ${point.pointId}:`, name, `It has ${names}.`);
  }
  const known = recorded.disks.find((candidate) => candidate.name === name);
  if (known?.sizeBytes === disk.sizeBytes) return disk;
  const before = known ? `${known.sizeBytes} bytes were recorded` : "it was not recorded";
  throw new RecoveryPointUnexpectedError(
    point.pointId,
    `disk ${name} has ${disk.sizeBytes} bytes; ${before}`,
  );
}
