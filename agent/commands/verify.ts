import { rename } from "node:fs/promises";
import { VerificationFailedError } from "#shared/errors.ts";
import { openDiskImage } from "../disk-image/disk-image.ts";
import { ProgressMeter } from "../progress/progress-meter.ts";
import { readPoint } from "../repository/points.ts";
import { DiskMismatchError, verifyDisk } from "../restore/verify.ts";
import type { Executor } from "./executor.ts";
import type { TargetDeps } from "./materialise.ts";

/**
 * Re-reads all images that this agent wrote, and compares them with the recovery point. An image that differs
 * is renamed to `*.damaged`.
 */
export function verifyExecutor({ repository, images }: TargetDeps): Executor<"verify"> {
  return async (input, { signal, progress }) => {
    const { ownerId, pointId } = input;
    const meter = new ProgressMeter(progress);
    const { disks } = await images.require(input);
    const source = await repository(ownerId);
    const point = await readPoint(source, pointId);
    const bytesTotal = disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
    meter.expect(bytesTotal);
    for (const written of disks) {
      const disk = point.disks.find(({ name }) => name === written.name);
      if (!disk) throw new VerificationFailedError(`recovery point ${pointId} has no disk ${written.name}`);
      const reader = await openDiskImage(written.path, written.format);
      try {
        await verifyDisk({ repository: source, disk, reader, meter, signal });
      } catch (error) {
        if (!(error instanceof DiskMismatchError)) throw error;
        await rename(written.path, `${written.path}.damaged`);
        throw new VerificationFailedError(`${written.path}: ${error.message}`, { cause: error });
      } finally {
        await reader.close();
      }
    }
    return { bytesVerified: bytesTotal, seconds: meter.elapsedMs / 1000 };
  };
}
