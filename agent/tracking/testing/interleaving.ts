/** For tests: one random order of writes, passes, killed readers and a frozen read, by its seed. */
import { Random } from "../../filesystems/testing/layouts/random.ts";
import { Load } from "./load.ts";
import type { TrackedDisk } from "./tracked-disk.ts";

const MAX_LOADS = 3;

/**
 * Runs one interleaving to its frozen read. Returns where the copy then differs from the frozen disk; nowhere
 * if the tracker missed nothing.
 */
export async function differingAfter(disk: TrackedDisk, seed: number): Promise<string> {
  const random = new Random(seed);
  const loads: Load[] = [];
  let mustBegin = true;
  for (let step = 4 + random.below(6); step > 0; step--) {
    if (loads.length < MAX_LOADS) loads.push(Load.start(disk.mountPoint, random));
    switch (random.below(6)) {
      case 0:
        await disk.killed(random.pick(["begin", "swap", "clear", "freeze-read"]), random.below(4));
        mustBegin = true;
        break;
      case 1:
        // A reader that dies before it has read what its pass found.
        await disk.tracker.begin(disk.device);
        mustBegin = true;
        break;
      case 2:
        await loads.shift()?.ended();
        break;
      default:
        await pass(disk, mustBegin);
        mustBegin = false;
    }
  }
  if (mustBegin) await pass(disk, true);
  const { read, besidesDiscards } = await disk.freezeAndCompare();
  for (const load of loads) await load.ended();
  if (read.outcome !== "converged") return `seed ${seed}: the frozen read ended with ${read.outcome}`;
  return besidesDiscards.length === 0
    ? ""
    : `seed ${seed}: differs at ${besidesDiscards.slice(0, 10).join(", ")}`;
}

async function pass(disk: TrackedDisk, isFirst: boolean): Promise<void> {
  const found = isFirst ? await disk.tracker.begin(disk.device) : await disk.tracker.swap(disk.device);
  await disk.readPass(found);
  await disk.tracker.clear(disk.device);
}
