import { PlanRecord } from "#shared/domain/protection/plan.ts";
import { NotFoundError } from "#shared/errors.ts";
import { Aggregates } from "./aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: `PLAN#${id}`, sk: "PLAN" });
/** Plans that were deleted have their runs, but are not listed. */
const PLANS = "PLANS";

/** Protection plans. */
export class PlanStore {
  readonly #plans: Aggregates<PlanRecord>;

  constructor(table: Table) {
    this.#plans = new Aggregates(table, {
      what: "plan",
      schema: PlanRecord,
      keys: (plan) => ({
        ...keyOf(plan.id),
        ...(plan.state === "deleted" ? {} : { gsi1pk: PLANS, gsi1sk: plan.id }),
      }),
    });
  }

  find(id: string): Promise<PlanRecord | undefined> {
    return this.#plans.find(keyOf(id));
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<PlanRecord> {
    return found(id, await this.find(id));
  }

  /** Adds the plan. Returns the existing one if there is one. */
  add(plan: PlanRecord): Promise<PlanRecord> {
    return this.#plans.modify(keyOf(plan.id), (existing) => existing ?? plan);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (plan: PlanRecord) => PlanRecord): Promise<PlanRecord> {
    return this.#plans.modify(keyOf(id), (plan) => change(found(id, plan)));
  }

  /** Plans that are not deleted, newest first. */
  page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<PlanRecord>> {
    return this.#plans.page({ partition: PLANS, index: true, ...query });
  }
}

function found(id: string, plan: PlanRecord | undefined): PlanRecord {
  if (!plan) throw new NotFoundError("plan", id);
  return plan;
}
