import { RunRecord } from "#shared/domain/protection/run.ts";
import type { CommandStore } from "./commands.ts";
import { OwnerAggregates } from "./owner-aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const ofPlan = (planId: string) => `PLAN#${planId}`;

/** Protection runs. `add` returns the existing run if there is one: so one of two ticks claims it. */
export class RunStore extends OwnerAggregates<RunRecord> {
  constructor(table: Table, commands: CommandStore) {
    super(table, commands, { what: "run", schema: RunRecord, listedIn: ({ planId }) => ofPlan(planId) });
  }

  /** A plan's runs, newest first. */
  page(planId: string, query: { limit: number; cursor?: string | undefined }): Promise<TablePage<RunRecord>> {
    return this.listed(ofPlan(planId), query);
  }
}
