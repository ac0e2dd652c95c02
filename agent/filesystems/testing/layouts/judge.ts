/** Random layouts, and what is wrong with our reading of them. */
import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readDiskUsage } from "../../disk-usage.ts";
import { MIB } from "../test-image.ts";
import { makeBcacheHead, makeFileSystems, preciousBytes } from "./file-systems.ts";
import { LayoutWriter, type Live, type Materials } from "./layout.ts";
import { judgeCopy, judgeUsage } from "./oracle.ts";
import { makePhysicalVolumes } from "./physical-volumes.ts";
import { Random } from "./random.ts";
import { MemoryDisk, Region } from "./region.ts";
import { GptMaker } from "./tables.ts";

const DISK_SIZES = [64 * MIB, 65 * MIB, 96 * MIB, 112 * MIB, 100 * MIB - 512 * 7];
const SECTOR_BYTES = 512;
const SIGNATURES_AT_END_BYTES = 128 * 1024;

const SHOWN_FAILURES = 5;

/** Makes a folder, in memory if possible: many tools wait until everything is on the disk. */
export function makeLayoutFolder(): Promise<string> {
  return mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "layouts-"));
}

/** Judges layouts one by one, all in the same memory. */
export class LayoutJudge {
  readonly #folder: string;
  readonly #materials: Materials;
  readonly #precious: Buffer;
  readonly #memory = Buffer.alloc(128 * MIB);

  private constructor(folder: string, materials: Materials, precious: Buffer) {
    this.#folder = folder;
    this.#materials = materials;
    this.#precious = precious;
  }

  /** Makes the file systems and tables that layouts consist of. All files go into `folder`. */
  static async create(folder: string): Promise<LayoutJudge> {
    const materials: Materials = {
      fileSystems: await makeFileSystems(folder),
      physicalVolumes: await makePhysicalVolumes(folder),
      bcacheHead: await makeBcacheHead(folder),
      gpts: new GptMaker(folder),
    };
    return new LayoutJudge(folder, materials, await preciousBytes(folder));
  }

  /**
   * Returns how many of these layouts we read wrongly, and the stories of the first of them: an empty text if
   * there are none. Copies each layout whose seed is a multiple of `copiedEvery`.
   */
  async failuresIn(
    seeds: Iterable<number>,
    { copiedEvery }: { copiedEvery: number },
  ): Promise<{ count: number; shown: string }> {
    const failures: string[][] = [];
    for (const seed of seeds) {
      const problems = await this.#problemsOf(seed, { copies: seed % copiedEvery === 0 });
      if (problems.length > 0) failures.push(problems);
    }
    return { count: failures.length, shown: failures.slice(0, SHOWN_FAILURES).flat().join("\n") };
  }

  /**
   * Returns what is wrong with our reading of the layout of this seed and how the layout was made, line by
   * line, or an empty list. With `copies`, it also copies the disk, mounts the copy and checks it.
   */
  async #problemsOf(seed: number, { copies }: { copies: boolean }): Promise<string[]> {
    const random = new Random(seed);
    const disk = new MemoryDisk(this.#memory, random.pick(DISK_SIZES));
    const writer = new LayoutWriter(random, this.#materials);
    const live = writer.writeLayers(new Region(disk, [{ offset: 0, length: disk.sizeBytes }]), 0);
    const change = resize(disk, live, random);
    const usage = await readDiskUsage(disk, { consistent: true, blockBytes: SECTOR_BYTES });
    const problems = await judgeUsage(disk, live, usage, this.#folder);
    if (problems.length === 0 && copies) {
      const options = { folder: this.#folder, precious: this.#precious };
      problems.push(...(await judgeCopy(disk, live, usage, options)));
    }
    if (problems.length === 0) return [];
    const reading = usage.volumes.map(
      ({ name, content, method, reason }) => `  ${name}: ${content.type}, ${method}, ${reason ?? ""}`,
    );
    const resized = `resized by ${change} to ${disk.sizeBytes}`;
    return [`seed ${seed}: ${problems.join("; ")}`, ...writer.story, resized, "read as:", ...reading, ""];
  }
}

/**
 * Shortens or grows the disk, unless that would hide the live layer from Linux. Returns the change in bytes.
 */
function resize(disk: MemoryDisk, live: Live, random: Random): number {
  const change = random.pick([0, 0, 0, 0, 1, -1]) * random.pick([1, 8, 2048, 20_480]) * SECTOR_BYTES;
  const untouched = disk.sizeBytes + Math.min(change, -SIGNATURES_AT_END_BYTES);
  // Linux finds a GPT also by its first copy.
  if (live.used.some(({ offset, length, by }) => by !== "GPT" && offset + length > untouched)) return 0;
  disk.resize(disk.sizeBytes + change);
  return change;
}
