import { beginRun } from "../../protection/begin-run.ts";
import { CutoverSite } from "../cutover-site.ts";
import { MemoryTable } from "../memory-table.ts";
import { planId } from "../site-records.ts";
import { FROZEN } from "./model-source.ts";

/** The site's plan is due. */
export async function runPlan({ deps }: CutoverSite, dueAt: number): Promise<void> {
  const plan = await deps.store.plans.get(planId);
  await beginRun(plan, { dueAt, trigger: "schedule", requestedBy: "ada" }, deps);
}

let prepared: Promise<MemoryTable> | undefined;

/** Of a site whose plan has made its first recovery point, and the standby of it. Made once. */
export function tableWithStandby(): Promise<MemoryTable> {
  prepared ??= prepare();
  return prepared;
}

async function prepare(): Promise<MemoryTable> {
  const table = new MemoryTable();
  const ends: (() => Promise<void>)[] = [];
  const site = await CutoverSite.start({}, { table, isRestartable: true, onEnd: (end) => ends.push(end) });
  site.freeze = { frozen: FROZEN };
  await runPlan(site, site.now);
  await site.settle();
  for (const end of ends) await end();
  return table;
}
