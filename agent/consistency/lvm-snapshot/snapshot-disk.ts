import { isDeepStrictEqual } from "node:util";
import { BlockSet } from "#shared/domain/block-set.ts";
import { type Extent, normalize } from "#shared/domain/extents.ts";
import { LvmFailedError } from "#shared/errors.ts";
import { type DiskSource, openDisk } from "../../disk/disk-source.ts";
import { readDiskUsage } from "../../filesystems/disk-usage.ts";
import { readerOf } from "../../filesystems/source-reader.ts";
import { type ProgramRunner, toolWitness } from "../../filesystems/witness.ts";
import { blocksOutside, findSwapSpace, swapContent } from "../pre-copy/swap-space.ts";
import { stillCopyOf } from "../still-copy.ts";
import { ComposedDisk, type Piece } from "./composed-disk.ts";
import {
  type DiskLayout,
  freeExtentsOn,
  metadataOn,
  readDiskLayout,
  type VolumeOnDisk,
  volumesOn,
} from "./disk-layout.ts";
import type { Users } from "./outside.ts";
import { ReadDirectly } from "./read-directly.ts";
import type { SurveyedDisk } from "./survey.ts";

type ReadPiece = Piece & { from: Buffer };

/** A disk that is about to be read through snapshots. */
export class SnapshotDisk {
  readonly found: SurveyedDisk;
  readonly source: DiskSource;
  readonly directly: ReadDirectly;
  readonly #swapSpace: readonly Extent[];
  readonly #metadata: readonly ReadPiece[];
  readonly #layout: DiskLayout;

  private constructor(
    found: SurveyedDisk,
    source: DiskSource,
    parts: { directly: ReadDirectly; swapSpace: Extent[]; metadata: ReadPiece[]; layout: DiskLayout },
  ) {
    this.found = found;
    this.source = source;
    this.directly = parts.directly;
    this.#swapSpace = parts.swapSpace;
    this.#metadata = parts.metadata;
    this.#layout = parts.layout;
  }

  /** Before there are snapshots: keeps LVM's metadata, and notes what the rest is like. */
  static async open(found: SurveyedDisk, { tree, swaps }: Users): Promise<SnapshotDisk> {
    const { disk, device, volumes, direct } = found;
    const source = await openDisk(disk.path);
    try {
      const swapSpace = await findSwapSpace(tree, device, source.sizeBytes);
      for (const { live, onDisk } of volumes)
        if (live.device !== undefined && swaps.includes(live.device))
          swapSpace.push(...swapContent(onDisk.segments ?? []));
      const reader = readerOf(source);
      const metadata: ReadPiece[] = [];
      for (const { offset, length } of metadataOn(found.layout))
        metadata.push({ offset, length, from: Buffer.from(await reader.read(offset, length)) });
      // The clone has these bytes, so they decide which bytes are whose.
      const asKept = new ComposedDisk(source, metadata, async () => {});
      const layout = await readDiskLayout(readerOf(asKept), source.sectorBytes);
      requireSame(
        found.volumes.map(({ onDisk }) => onDisk),
        volumesOn(layout),
        disk.name,
      );
      const watched = direct.filter((one) => !swaps.includes(one.device));
      const directly = await ReadDirectly.begin(reader, layout, watched);
      return new SnapshotDisk(found, source, { directly, swapSpace, metadata, layout });
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  get name(): string {
    return this.found.disk.name;
  }

  /**
   * Throws `LvmFailedError` if LVM has moved a volume since the metadata was kept: its snapshot would not
   * be what that metadata describes.
   */
  async requireUnmoved(): Promise<void> {
    const now = volumesOn(await readDiskLayout(readerOf(this.source), this.source.sectorBytes));
    const kept = volumesOn(this.#layout);
    requireSame(
      kept,
      now.filter(({ uuid }) => kept.some((one) => one.uuid === uuid)),
      this.name,
    );
  }

  /** The disk with each volume as its snapshot has it, by the volume's uuid. The rest is read directly. */
  compose(snapshots: ReadonlyMap<string, DiskSource>, onFailedRead: () => Promise<void>): ComposedDisk {
    const pieces = volumesOn(this.#layout).flatMap(({ uuid, segments = [] }): Piece[] => {
      const source = snapshots.get(uuid);
      if (!source) return [];
      return segments.map(({ offset, length, volumeOffset }) => {
        return { offset, length, from: { source, offset: volumeOffset } };
      });
    });
    const all = [...this.#metadata, ...pieces].sort((a, b) => a.offset - b.offset);
    return new ComposedDisk(this.source, all, onFailedRead);
  }

  /** What must be copied of the composed disk, and what of it could not be left out. */
  async usageOf(
    composed: ComposedDisk,
    { allBlocks, machine }: { allBlocks: boolean; machine: ProgramRunner },
  ) {
    const { sizeBytes, sectorBytes } = composed;
    // The group's state was compared before there were snapshots, which change it.
    const tools = toolWitness(machine, this.found.disk.path);
    const witness = { ...tools, differenceInGroup: async () => undefined };
    const usage = allBlocks
      ? undefined
      : await readDiskUsage(readerOf(composed), { consistent: true, sectorBytes, witness });
    // Nothing is in free extents but what the snapshots keep there now.
    const outside = blocksOutside(sizeBytes, normalize([...this.#swapSpace, ...freeExtentsOn(this.#layout)]));
    const used = usage ? BlockSet.common(usage.used, outside) : outside;
    return { used, wholeCopies: stillCopyOf(usage).wholeCopies };
  }

  close(): Promise<void> {
    return this.source.close();
  }
}

function requireSame(before: readonly VolumeOnDisk[], after: readonly VolumeOnDisk[], disk: string): void {
  const byUuid = (all: readonly VolumeOnDisk[]) => all.toSorted((a, b) => (a.uuid < b.uuid ? -1 : 1));
  if (!isDeepStrictEqual(byUuid(before), byUuid(after)))
    throw new LvmFailedError(
      "changed",
      `the volumes on ${disk} were changed while their snapshots were made`,
    );
}
