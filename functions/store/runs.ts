import type { CommandRecord } from "#shared/domain/command.ts";
import { RunRecord } from "#shared/domain/protection/run.ts";
import { NotFoundError } from "#shared/errors.ts";
import { Aggregates } from "./aggregates.ts";
import type { CommandStore } from "./commands.ts";
import { ownerPartition } from "./owner-partition.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: ownerPartition(id), sk: "RUN" });
const ofPlan = (planId: string) => `PLAN#${planId}`;

/** Protection runs. Each shares a partition with its commands. */
export class RunStore {
  readonly #table: Table;
  readonly #runs: Aggregates<RunRecord>;
  readonly #commands: CommandStore;

  constructor(table: Table, commands: CommandStore) {
    this.#table = table;
    this.#commands = commands;
    this.#runs = new Aggregates(table, {
      what: "run",
      schema: RunRecord,
      keys: (run) => ({ ...keyOf(run.id), gsi1pk: ofPlan(run.planId), gsi1sk: run.id }),
    });
  }

  find(id: string): Promise<RunRecord | undefined> {
    return this.#runs.find(keyOf(id));
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<RunRecord> {
    return found(id, await this.find(id));
  }

  /** Adds the run. Returns the existing one if there is one: so one of two ticks claims it. */
  add(run: RunRecord): Promise<RunRecord> {
    return this.#runs.modify(keyOf(run.id), (existing) => existing ?? run);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (run: RunRecord) => RunRecord): Promise<RunRecord> {
    return this.#runs.modify(keyOf(id), (run) => change(found(id, run)));
  }

  /** The run and its commands, as of one moment. Throws `NotFoundError`. */
  async withCommands(id: string): Promise<{ run: RunRecord; commands: CommandRecord[] }> {
    const items = await this.#table.all(ownerPartition(id));
    const own = items.find((item) => item.sk === "RUN");
    return { run: found(id, own && this.#runs.parse(own)), commands: this.#commands.among(items) };
  }

  /** A plan's runs, newest first. */
  page(planId: string, query: { limit: number; cursor?: string | undefined }): Promise<TablePage<RunRecord>> {
    return this.#runs.page({ partition: ofPlan(planId), index: true, ...query });
  }
}

function found(id: string, run: RunRecord | undefined): RunRecord {
  if (!run) throw new NotFoundError("run", id);
  return run;
}
