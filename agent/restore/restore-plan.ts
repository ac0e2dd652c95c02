import { setImmediate } from "node:timers/promises";
import { BLOCK_BYTES, blockCount } from "#shared/format/block.ts";
import { DamagedObjectError } from "#shared/format/errors.ts";
import type { BlobRef, Leaf } from "#shared/format/map-node.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import { FAN_OUT } from "#shared/format/tree.ts";
import type { MapReader } from "../repository/map-reader.ts";
import type { RestoreUnit } from "./restore-worker.ts";

/** A leaf of a disk map, and which of its blocks a restore writes. */
export interface RestorePart {
  index: number;
  /** Absent for a part of the disk that is all zeros. */
  leaf: Leaf | undefined;
  /** Places of blocks in the leaf; all blocks if absent. */
  slots?: ReadonlySet<number>;
}

/** 4 GiB of an empty disk. */
const LEAVES_AT_A_TIME = 256;

/** Every leaf, one by one. */
export async function* wholeDisk(map: MapReader): AsyncGenerator<RestorePart[], void> {
  for (let index = 0; index < map.leafCount; index++) {
    // An empty part of a disk has nothing to wait for; on a large disk that would keep the agent from
    // sending heartbeats.
    if (index % LEAVES_AT_A_TIME === 0) await setImmediate();
    yield [{ index, leaf: (await map.leaf(index)).leaf }];
  }
}

/**
 * Checks a map against what its recovery point claims, leaf by leaf and before anything of a leaf is written.
 * A map that claims more, by referring to a few stored blocks again and again, would fill the target's
 * storage.
 */
export class Claims {
  readonly #disk: MappedDisk;
  #blocks = 0;

  constructor(disk: MappedDisk) {
    this.#disk = disk;
  }

  /** Throws `DamagedObjectError`. */
  take({ index, blocks }: Leaf): void {
    const { name, sizeBytes, usedBytes } = this.#disk;
    const used = blocks.filter((block) => block !== undefined).length;
    this.#blocks += used;
    if (this.#blocks * BLOCK_BYTES > usedBytes)
      throw new DamagedObjectError(`the map of ${name}`, `it has more than the ${usedBytes} bytes it should`);
    const room = blockCount(sizeBytes) - index * FAN_OUT;
    if (blocks.findLastIndex((block) => block !== undefined) >= room)
      throw new DamagedObjectError(`the map of ${name}`, "it has blocks past the disk's end");
  }
}

/** Consecutive blocks that become zeros, counted from the start of the disk. */
export interface ZeroRun {
  firstBlock: number;
  blocks: number;
}

/** The blocks of a part that a restore makes zeros, as few runs. */
export function zeroRuns({ index, leaf, slots }: RestorePart, sizeBytes: number): ZeroRun[] {
  const first = index * FAN_OUT;
  const runs: ZeroRun[] = [];
  for (let slot = 0; slot < Math.min(FAN_OUT, blockCount(sizeBytes) - first); slot++) {
    if (leaf?.blocks[slot] || (slots && !slots.has(slot))) continue;
    const last = runs.at(-1);
    if (last && last.firstBlock + last.blocks === first + slot) last.blocks += 1;
    else runs.push({ firstBlock: first + slot, blocks: 1 });
  }
  return runs;
}

export interface UnitBlocks {
  ref: BlobRef;
  blocks: RestoreUnit["blocks"];
}

/** The units that these parts need, each once, grouped by pack. */
export function unitsByPack(parts: readonly RestorePart[]): { pack: BlobRef["pack"]; units: UnitBlocks[] }[] {
  const packs = new Map<string, { pack: BlobRef["pack"]; units: Map<number, UnitBlocks> }>();
  for (const { index, leaf, slots } of parts) {
    leaf?.blocks.forEach((block, slot) => {
      if (!block || (slots && !slots.has(slot))) return;
      const { pack } = block.unit;
      const name = pack.name.toString("latin1");
      const known = packs.get(name) ?? { pack, units: new Map<number, UnitBlocks>() };
      packs.set(name, known);
      const unit = known.units.get(block.unit.number) ?? { ref: block.unit, blocks: [] };
      known.units.set(block.unit.number, unit);
      unit.blocks.push({ at: block.at, block: index * FAN_OUT + slot, id: block.id });
    });
  }
  return [...packs.values()].map(({ pack, units }) => ({ pack, units: [...units.values()] }));
}
