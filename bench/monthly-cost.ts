/** What one protected server costs a month on AWS without storage, from what its runs were counted to use. */
import { monthlyPrices, usagePrices } from "./aws-prices.ts";

/** Everything that has a price by use, counted. */
export type Counts = Record<keyof typeof usagePrices, number>;

export interface CostRow {
  what: string;
  /** How many one run uses; absent if it does not depend on runs. */
  perRun?: number;
  /** Used a month. */
  count: number;
  dollars: number;
}

export interface MonthlyCost {
  intervalMinutes: number;
  runs: number;
  rows: CostRow[];
  dollars: number;
}

/** A mean month. */
const MINUTES = 730 * 60;

/**
 * `perRun`: what one run uses, with what happens until the next one. `metrics` and `alarms`: of the server in
 * CloudWatch.
 */
export function monthlyCost(
  { perRun, metrics, alarms }: { perRun: Counts; metrics: number; alarms: number },
  intervalMinutes: number,
): MonthlyCost {
  const runs = MINUTES / intervalMinutes;
  const names = Object.keys(usagePrices) as (keyof Counts)[];
  const rows = names.map((name): CostRow => {
    const { dollars, per, unit } = usagePrices[name];
    const count = perRun[name] * runs;
    return { what: unit, perRun: perRun[name], count, dollars: (count * dollars) / per };
  });
  const { metric, alarm, connectedMinute } = monthlyPrices;
  rows.push(
    { what: "metrics in CloudWatch", count: metrics, dollars: metrics * metric.dollars },
    { what: "alarms in CloudWatch", count: alarms, dollars: alarms * alarm.dollars },
    {
      ...{ what: connectedMinute.unit, count: MINUTES },
      dollars: (MINUTES * connectedMinute.dollars) / connectedMinute.per,
    },
  );
  return { intervalMinutes, runs, rows, dollars: rows.reduce((sum, row) => sum + row.dollars, 0) };
}

/** The table of the report: what each thing costs a month at each interval. */
export function formatCost(costs: readonly MonthlyCost[]): string {
  const dollars = (amount: number) => `$${amount.toFixed(4)}`;
  const [first] = costs;
  const header = [
    "a month, one server, without storage",
    ...costs.map((cost) => `every ${cost.intervalMinutes} min`),
  ];
  const rows = (first?.rows ?? []).map(({ what, perRun, count }, at) => [
    perRun === undefined ? `${what} (${count})` : `${what} (${Number(perRun.toFixed(2))} a run)`,
    ...costs.map((cost) => dollars(cost.rows[at]?.dollars ?? 0)),
  ]);
  const total = ["total", ...costs.map((cost) => dollars(cost.dollars))];
  return [header, ...rows, total].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
