import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readDiskUsage } from "./disk-usage.ts";
import { makeBcacheHead, makeFileSystems, preciousBytes } from "./testing/layouts/file-systems.ts";
import { LayoutWriter, type Live, type Materials } from "./testing/layouts/layout.ts";
import { judgeCopy, judgeUsage } from "./testing/layouts/oracle.ts";
import { makePhysicalVolumes } from "./testing/layouts/physical-volumes.ts";
import { Random } from "./testing/layouts/random.ts";
import { MemoryDisk, Region } from "./testing/layouts/region.ts";
import { GptMaker } from "./testing/layouts/tables.ts";
import { isRoot, MIB } from "./testing/test-image.ts";

/** How many layouts, and the first seed. `LAYOUTS=1 LAYOUT_SEED=4711` runs it alone. */
const COUNT = Number(process.env.LAYOUTS ?? 240);
const FIRST_SEED = Number(process.env.LAYOUT_SEED ?? 1);
/** Each lost data once, in a way that few of the first seeds show: see the story that a failure tells. */
const RARE_SEEDS = COUNT === 1 ? [] : [342, 445, 480, 694, 752, 780, 5759];
/** One layout in eight is copied, mounted and checked. */
const COPIED_EVERY = COUNT === 1 ? 1 : 8;
const DISK_SIZES = [64 * MIB, 65 * MIB, 96 * MIB, 112 * MIB, 100 * MIB - 512 * 7];
const SECTOR_BYTES = 512;
const SIGNATURES_AT_END_BYTES = 128 * 1024;

/** In memory where that is possible: many tools wait until all is on the disk. */
const folder = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "layouts-"));
afterAll(() => rm(folder, { recursive: true }));
const memory = Buffer.alloc(128 * MIB);

/** What is wrong with our reading of the layout of this seed, and how it came about. */
async function judge(seed: number, materials: Materials, precious: Buffer): Promise<string[]> {
  const random = new Random(seed);
  const disk = new MemoryDisk(memory, random.pick(DISK_SIZES));
  const writer = new LayoutWriter(random, materials);
  const live = writer.writeLayers(new Region(disk, [{ offset: 0, length: disk.sizeBytes }]), 0);
  const change = resize(disk, live, random);
  const usage = await readDiskUsage(disk, { consistent: true, blockBytes: SECTOR_BYTES });
  const problems = await judgeUsage(disk, live, usage, folder);
  if (problems.length === 0 && seed % COPIED_EVERY === 0) {
    problems.push(...(await judgeCopy(disk, live, usage, { folder, precious })));
  }
  if (problems.length === 0) return [];
  const reading = usage.volumes.map(
    ({ name, content, method, reason }) => `  ${name}: ${content.type}, ${method}, ${reason ?? ""}`,
  );
  const resized = `resized by ${change} to ${disk.sizeBytes}`;
  return [`seed ${seed}: ${problems.join("; ")}`, ...writer.story, resized, "read as:", ...reading, ""];
}

/** Cuts or grows the disk, unless that would hide the live layer from Linux. Returns the change in bytes. */
function resize(disk: MemoryDisk, live: Live, random: Random): number {
  const change = random.pick([0, 0, 0, 0, 1, -1]) * random.pick([1, 8, 2048, 20_480]) * SECTOR_BYTES;
  const untouched = disk.sizeBytes + Math.min(change, -SIGNATURES_AT_END_BYTES);
  // Linux finds a GPT by its first copy too.
  if (live.used.some(({ offset, length, by }) => by !== "GPT" && offset + length > untouched)) return 0;
  disk.resize(disk.sizeBytes + change);
  return change;
}

test.skipIf(!isRoot)(
  "no byte that is in use is left out, whatever was on the disk before",
  async () => {
    const materials: Materials = {
      fileSystems: await makeFileSystems(folder),
      physicalVolumes: await makePhysicalVolumes(folder),
      bcacheHead: await makeBcacheHead(folder),
      gpts: new GptMaker(folder),
    };
    const precious = await preciousBytes(folder);
    const failures: string[][] = [];
    for (const seed of [...RARE_SEEDS, ...Array.from({ length: COUNT }, (_, index) => FIRST_SEED + index)]) {
      const failure = await judge(seed, materials, precious);
      if (failure.length > 0) failures.push(failure);
    }
    expect(failures.slice(0, 5).flat().join("\n"), `${failures.length} of ${COUNT} layouts`).toBe("");
  },
  120_000 + COUNT * 3000,
);
