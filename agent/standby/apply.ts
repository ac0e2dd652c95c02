import { rm } from "node:fs/promises";
import { syncFolder } from "#shared/data-folder/sync-folder.ts";
import { StandbyNotOursError } from "#shared/errors.ts";
import type { MappedDisk, Point } from "#shared/format/point.ts";
import { requireRoom } from "../disk-image/image-file.ts";
import type { ProgressMeter } from "../progress/progress-meter.ts";
import type { Repository } from "../repository/repository.ts";
import { type AppliedCounts, DiskApplier, type HowApplied, type Sampling } from "./disk-applier.ts";
import { findImage, StandbyImage } from "./standby-image.ts";
import {
  begun,
  distrusted,
  type FileStamp,
  finished,
  isSameStamp,
  mapOf,
  newStandby,
  type StandbyRecord,
} from "./standby-record.ts";
import type { Standbys } from "./standbys.ts";

export interface ApplyOptions {
  standbys: Standbys;
  planId: string;
  repository: Repository;
  point: Point;
  /** Compares all of the images, not only what changed and a sample. */
  whole?: boolean;
  sampling: Sampling;
  meter?: ProgressMeter;
  signal?: AbortSignal;
}

export interface Applied extends AppliedCounts {
  disks: { name: string; sizeBytes: number; path: string; how: HowApplied }[];
}

/**
 * Makes a standby equal to a recovery point, with work proportional to what changed since the point that it
 * equals. Safe to repeat, and to interrupt anywhere: the record names the point before the first byte is
 * written, so the next call, with this point or another one, also writes what this one may have begun. Finds
 * and repairs changes that another program made. Throws `StandbyNotOursError`, `StandbyBusyError`,
 * `DiskFullError`, and as `restoreDisk` does.
 */
export function applyPoint(options: ApplyOptions): Promise<Applied> {
  const { standbys, planId } = options;
  return standbys.exclusively(planId, () => new Application(options).run());
}

/** One application of a point. */
class Application {
  readonly #options: ApplyOptions;
  #record: StandbyRecord;
  readonly #counts: AppliedCounts = {
    ...{ bytesWritten: 0, bytesZeroed: 0, bytesFetched: 0, bytesRead: 0 },
    ...{ leavesChecked: 0, leavesRepaired: 0 },
  };

  constructor(options: ApplyOptions) {
    this.#options = options;
    this.#record = newStandby(options.point.sourceId);
  }

  async run(): Promise<Applied> {
    const { standbys, planId, point } = this.#options;
    const { record: before, folder } = await standbys.prepare(planId, point.sourceId);
    const { missing, doubtful, neededBytes } = await this.#inspect(before);
    await requireRoom(folder, neededBytes);
    this.#record = begun(before, point, doubtful);
    await standbys.write(planId, this.#record);
    const stamps = new Map<string, FileStamp>();
    const disks: Applied["disks"] = [];
    for (const disk of point.disks.map(mapOf)) {
      const path = standbys.pathOf(planId, disk.name);
      await using image = await StandbyImage.open(path, { create: missing.has(disk.name) });
      const how = await this.#applierOf(disk, image, before).apply();
      await image.sync();
      stamps.set(disk.name, await image.stamp());
      disks.push({ name: disk.name, sizeBytes: disk.sizeBytes, path, how });
    }
    for (const name of namesBeside(this.#record, point))
      await rm(standbys.pathOf(planId, name), { force: true });
    await syncFolder(folder);
    await standbys.write(planId, finished(this.#record, point, stamps));
    return { disks, ...this.#counts };
  }

  /** Which images are missing, which another program has changed or removed, and the room needed. */
  async #inspect(
    record: StandbyRecord,
  ): Promise<{ missing: Set<string>; doubtful: Set<string>; neededBytes: number }> {
    const { standbys, planId, point } = this.#options;
    const refuse = (why: string) => new StandbyNotOursError(planId, why);
    const missing = new Set<string>();
    const doubtful = new Set<string>();
    let neededBytes = 0;
    for (const { name, usedBytes } of point.disks) {
      const image = await findImage(standbys.pathOf(planId, name));
      const known = record.disks.find((disk) => disk.name === name);
      if (image && !image.isFile) throw refuse(`its image of ${name} is not a file`);
      if (image && !known) throw refuse(`it has not written an image of ${name}`);
      const isUnchanged = image && (record.applying.length > 0 || isSameStamp(known?.stamp, image.stamp));
      if (!image) missing.add(name);
      if (known && !isUnchanged) doubtful.add(name);
      neededBytes += Math.max(0, usedBytes - (image?.allocatedBytes ?? 0));
    }
    return { missing, doubtful, neededBytes };
  }

  #applierOf(disk: MappedDisk, image: StandbyImage, before: StandbyRecord): DiskApplier {
    const { standbys, planId, repository, point, whole = false, sampling, meter, signal } = this.#options;
    const holdsIn = ({ disks }: StandbyRecord) => disks.find(({ name }) => name === disk.name)?.holds ?? null;
    const distrust = async () => {
      this.#record = distrusted(this.#record, disk.name);
      await standbys.write(planId, this.#record);
    };
    return new DiskApplier({
      ...{ repository, image, disk, whole, sampling, counts: this.#counts, distrust },
      holds: holdsIn(this.#record),
      interrupted: this.#record.applying
        .filter(({ pointId }) => pointId !== point.pointId)
        .flatMap(({ disks }) => disks.filter(({ name }) => name === disk.name)),
      expected: before.applying.length === 0 ? (holdsIn(before) ?? undefined) : undefined,
      ...(meter ? { meter } : {}),
      ...(signal ? { signal } : {}),
    });
  }
}

/** The disks of a standby that a point does not have. */
function namesBeside({ disks, applying }: StandbyRecord, point: Point): Set<string> {
  const names = new Set([...disks, ...applying.flatMap((each) => each.disks)].map(({ name }) => name));
  for (const { name } of point.disks) names.delete(name);
  return names;
}
