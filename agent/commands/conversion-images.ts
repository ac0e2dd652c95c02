import { lstat, rm } from "node:fs/promises";
import * as z from "zod";
import { ImagesNotOursError } from "#shared/errors.ts";
import { DiskFormat } from "#shared/protocol/common.ts";
import { AgentId, DiskBytes, DiskName, PointId } from "#shared/protocol/ids.ts";
import type { WrittenDisk } from "#shared/protocol/written-disk.ts";
import { findOwnFolder, insideFolder, makeOwnFolder } from "../machine/inside-folder.ts";
import type { AgentRecords } from "./agent-records.ts";

/** The images that were written for an owner. */
export const WrittenImages = z.strictObject({
  sourceId: AgentId,
  pointId: PointId,
  format: DiskFormat,
  disks: z.array(z.strictObject({ name: DiskName, sizeBytes: DiskBytes })),
  /** Whether every disk was written completely. */
  complete: z.boolean(),
});
export type WrittenImages = z.infer<typeof WrittenImages>;

/** The images that a command refers to. */
export interface WantedImages {
  ownerId: string;
  sourceId: string;
  pointId: string;
  disks: readonly WrittenDisk[];
}

/**
 * The images on this target host, by their owner: a conversion or a drill. All paths are built here
 * from ids, names and formats. The agent reads, starts and removes only what it recorded before it began to
 * write.
 */
export class ConversionImages {
  readonly #imagesDir: string;
  readonly #records: AgentRecords<WrittenImages>;

  constructor(imagesDir: string, records: AgentRecords<WrittenImages>) {
    this.#imagesDir = imagesDir;
    this.#records = records;
  }

  /**
   * Records what is about to be written, and returns the folder for it. Throws `ImagesNotOursError` if other
   * images were written for this owner before, or if this agent did not create its folder.
   */
  async begin(ownerId: string, wanted: Omit<WrittenImages, "complete">): Promise<string> {
    const before = await this.#records.read(ownerId);
    if (before && !isSame(before, wanted))
      throw new ImagesNotOursError(
        ownerId,
        "it has others, from another recovery point or in another format",
      );
    if (!before && (await findOwnFolder(this.#imagesDir, ownerId)))
      throw new ImagesNotOursError(ownerId, "its folder existed before it");
    if (!before) await this.#records.write(ownerId, { ...wanted, complete: false });
    return makeOwnFolder(this.#imagesDir, ownerId);
  }

  /** Records that all images are complete. */
  async finish(ownerId: string, written: Omit<WrittenImages, "complete">): Promise<void> {
    await this.#records.write(ownerId, { ...written, complete: true });
  }

  pathOf(ownerId: string, disk: string, format: DiskFormat): string {
    return insideFolder(this.#imagesDir, ownerId, `${disk}.${format}`);
  }

  /**
   * The images that a command refers to. Throws `ImagesNotOursError` unless this agent wrote each of them for
   * this owner.
   */
  async require(wanted: WantedImages): Promise<{ folder: string; disks: WrittenDisk[] }> {
    const { ownerId, sourceId, pointId, disks } = wanted;
    const refuse = (why: string) => new ImagesNotOursError(ownerId, why);
    const written = await this.#records.read(ownerId);
    const folder = await findOwnFolder(this.#imagesDir, ownerId);
    if (!written?.complete || !folder) throw refuse("this agent has not written them here");
    if (disks.length !== written.disks.length) throw refuse("some are missing");
    if (written.sourceId !== sourceId || written.pointId !== pointId)
      throw refuse("they are from another recovery point");
    const wantedDisks = disks.map(({ name, format, sizeBytes, path: told }) => {
      const path = this.pathOf(ownerId, name, format);
      const known = written.disks.find((disk) => disk.name === name);
      if (!known || written.format !== format) throw refuse(`there is no ${name} in the format ${format}`);
      if (known.sizeBytes !== sizeBytes || path !== told)
        throw refuse(`${name} is not the disk that was written`);
      return { name, path, format, sizeBytes };
    });
    for (const { name, path } of wantedDisks) {
      const status = await lstat(path).catch(() => undefined);
      if (!status?.isFile()) throw refuse(`${name} no longer exists`);
    }
    return { folder, disks: wantedDisks };
  }

  /** Removes what this agent wrote for an owner, if anything. */
  async remove(ownerId: string): Promise<void> {
    if (!(await this.#records.read(ownerId))) return;
    const folder = await findOwnFolder(this.#imagesDir, ownerId);
    if (folder) await rm(folder, { recursive: true, force: true });
    await this.#records.forget(ownerId);
  }
}

function isSame(before: WrittenImages, wanted: Omit<WrittenImages, "complete">): boolean {
  return JSON.stringify({ ...before, complete: true }) === JSON.stringify({ ...wanted, complete: true });
}
