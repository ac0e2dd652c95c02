import type { CommandRecord } from "#shared/domain/command.ts";
import { DrillRecord } from "#shared/domain/drill.ts";
import { NotFoundError } from "#shared/errors.ts";
import { Aggregates } from "./aggregates.ts";
import type { CommandStore } from "./commands.ts";
import { ownerPartition } from "./owner-partition.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: ownerPartition(id), sk: "DRILL" });
const ALL = "DRILLS";

/** Drills. Each shares a partition with its commands. */
export class DrillStore {
  readonly #table: Table;
  readonly #drills: Aggregates<DrillRecord>;
  readonly #commands: CommandStore;

  constructor(table: Table, commands: CommandStore) {
    this.#table = table;
    this.#commands = commands;
    this.#drills = new Aggregates(table, {
      what: "drill",
      schema: DrillRecord,
      keys: (drill) => ({ ...keyOf(drill.id), gsi1pk: ALL, gsi1sk: drill.id }),
    });
  }

  find(id: string): Promise<DrillRecord | undefined> {
    return this.#drills.find(keyOf(id));
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<DrillRecord> {
    return found(id, await this.find(id));
  }

  /** Adds the drill. Returns the existing one if there is one. */
  add(drill: DrillRecord): Promise<DrillRecord> {
    return this.#drills.modify(keyOf(drill.id), (existing) => existing ?? drill);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (drill: DrillRecord) => DrillRecord): Promise<DrillRecord> {
    return this.#drills.modify(keyOf(id), (drill) => change(found(id, drill)));
  }

  /** The drill and its commands, as of one moment. Throws `NotFoundError`. */
  async withCommands(id: string): Promise<{ drill: DrillRecord; commands: CommandRecord[] }> {
    const items = await this.#table.all(ownerPartition(id));
    const own = items.find((item) => item.sk === "DRILL");
    return { drill: found(id, own && this.#drills.parse(own)), commands: this.#commands.among(items) };
  }

  /** Newest first. */
  page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<DrillRecord>> {
    return this.#drills.page({ partition: ALL, index: true, ...query });
  }
}

function found(id: string, drill: DrillRecord | undefined): DrillRecord {
  if (!drill) throw new NotFoundError("drill", id);
  return drill;
}
