import { type MonthlyCost, monthlyCost } from "./monthly-cost.ts";
import { countRuns } from "./testing/counted-runs.ts";

/** The intervals that the report shows, in minutes. */
const INTERVALS = [60, 15, 1];

/** Counts some protection runs on the embedded cloud: what they would cost a month on AWS, by interval. */
export async function measureCost(runs: number): Promise<MonthlyCost[]> {
  const counted = await countRuns(runs);
  return INTERVALS.map((minutes) => monthlyCost(counted, minutes));
}
