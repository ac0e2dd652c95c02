import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import type { RunRecord } from "#shared/domain/protection/run.ts";
import { RunId } from "#shared/protocol/ids.ts";
import type { Store } from "../store/store.ts";

/** The plan's run that holds its source; `undefined` if there is none. */
export async function runOnSource(
  plan: PlanRecord,
  { store }: { store: Store },
): Promise<RunRecord | undefined> {
  const { heldBy } = (await store.agents.find(plan.sourceId)) ?? {};
  if (!RunId.safeParse(heldBy).success || heldBy === undefined) return undefined;
  const run = await store.runs.find(heldBy);
  return run?.planId === plan.id ? run : undefined;
}
