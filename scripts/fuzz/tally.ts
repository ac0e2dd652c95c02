/** The result of a file's run under `npm run fuzz`: the number of runs of its properties, and peak memory. */
import { writeFileSync } from "node:fs";
import * as z from "zod";

export const Tally = z.object({ runs: z.int(), peakMiB: z.int() });
export type Tally = z.infer<typeof Tally>;

let runs = 0;

export function counted(more: number): void {
  runs += more;
}

export function millisecondsPerProperty(): number {
  return Number(process.env.FUZZ_MILLISECONDS);
}

export function writeTally(): void {
  const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);
  writeFileSync(process.env.FUZZ_TALLY ?? "", JSON.stringify({ runs, peakMiB } satisfies Tally));
}
