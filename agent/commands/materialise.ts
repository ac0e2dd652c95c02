import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DiskFormat } from "#shared/protocol/common.ts";
import { createDiskImage } from "../disk-image/disk-image.ts";
import { readPoint } from "../repository/points.ts";
import type { Repository } from "../repository/repository.ts";
import { restoreDisk } from "../restore/restore.ts";
import type { Executor } from "./executor.ts";

export interface TargetDeps {
  /** The repository that a conversion assigned to this host, to read. */
  repository: (conversionId: string) => Promise<Repository>;
  imagesDir: string;
}

export const conversionDir = (imagesDir: string, conversionId: string): string =>
  join(imagesDir, conversionId);

export const imagePath = (
  imagesDir: string,
  conversionId: string,
  disk: string,
  format: DiskFormat,
): string => join(conversionDir(imagesDir, conversionId), `${disk}.${format}`);

/** Writes every disk of a recovery point as an image. Images that an earlier attempt finished are kept: verification reads them whole. */
export function materialiseExecutor({ repository, imagesDir }: TargetDeps): Executor<"materialise"> {
  return async ({ conversionId, pointId, format }, { signal, progress }) => {
    const began = performance.now();
    const source = await repository(conversionId);
    const { disks } = await readPoint(source, pointId);
    const bytesTotal = disks.reduce((sum, disk) => sum + disk.usedBytes, 0);
    let bytesBefore = 0;
    await mkdir(conversionDir(imagesDir, conversionId), { recursive: true });
    const written = [];
    for (const disk of disks) {
      const path = imagePath(imagesDir, conversionId, disk.name, format);
      written.push({ name: disk.name, path, format, sizeBytes: disk.sizeBytes });
      if (await exists(path)) continue;
      const image = await createDiskImage({
        path,
        format,
        sizeBytes: disk.sizeBytes,
        contentBytes: disk.usedBytes,
      });
      try {
        await restoreDisk({
          repository: source,
          disk,
          sink: image,
          onProgress: ({ bytesWritten, rateBytesPerSecond }) => {
            const bytesDone = bytesBefore + bytesWritten;
            const remaining =
              rateBytesPerSecond > 0
                ? { remainingSeconds: (bytesTotal - bytesDone) / rateBytesPerSecond }
                : {};
            progress({ bytesDone, bytesTotal, rateBytesPerSecond, ...remaining });
          },
          signal,
        });
        await image.finish();
      } finally {
        await image.abort();
      }
      bytesBefore += disk.usedBytes;
    }
    const seconds = (performance.now() - began) / 1000;
    return { disks: written, bytesWritten: bytesBefore, seconds, bottleneck: "unknown" };
  };
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
