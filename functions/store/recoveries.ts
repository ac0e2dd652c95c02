import type { CommandRecord } from "#shared/domain/command.ts";
import { RecoveryRecord, recoveryHasEnded } from "#shared/domain/recovery.ts";
import { NotFoundError } from "#shared/errors.ts";
import { Aggregates } from "./aggregates.ts";
import type { CommandStore } from "./commands.ts";
import { ownerPartition } from "./owner-partition.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: ownerPartition(id), sk: "RECOVERY" });
const ALL = "RECOVERIES";
const PAGE = 100;

/** Recoveries. Each shares a partition with its commands. */
export class RecoveryStore {
  readonly #table: Table;
  readonly #recoveries: Aggregates<RecoveryRecord>;
  readonly #commands: CommandStore;

  constructor(table: Table, commands: CommandStore) {
    this.#table = table;
    this.#commands = commands;
    this.#recoveries = new Aggregates(table, {
      what: "recovery",
      schema: RecoveryRecord,
      keys: (recovery) => ({ ...keyOf(recovery.id), gsi1pk: ALL, gsi1sk: recovery.id }),
    });
  }

  find(id: string): Promise<RecoveryRecord | undefined> {
    return this.#recoveries.find(keyOf(id));
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<RecoveryRecord> {
    return found(id, await this.find(id));
  }

  /** Adds the recovery. Returns the existing one if there is one. */
  add(recovery: RecoveryRecord): Promise<RecoveryRecord> {
    return this.#recoveries.modify(keyOf(recovery.id), (existing) => existing ?? recovery);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (recovery: RecoveryRecord) => RecoveryRecord): Promise<RecoveryRecord> {
    return this.#recoveries.modify(keyOf(id), (recovery) => change(found(id, recovery)));
  }

  /** The recovery and its commands, as of one moment. Throws `NotFoundError`. */
  async withCommands(id: string): Promise<{ recovery: RecoveryRecord; commands: CommandRecord[] }> {
    const items = await this.#table.all(ownerPartition(id));
    const own = items.find((item) => item.sk === "RECOVERY");
    return { recovery: found(id, own && this.#recoveries.parse(own)), commands: this.#commands.among(items) };
  }

  /** The newest recovery of the source in production that has not ended. Eventually consistent. */
  async unendedInProduction(sourceId: string): Promise<RecoveryRecord | undefined> {
    const only = { attribute: "sourceId", value: sourceId };
    let cursor: string | undefined;
    do {
      const query = { partition: ALL, index: true, limit: PAGE, cursor, only };
      const page = await this.#recoveries.page(query);
      const found = page.items.find((one) => one.network === "production" && !recoveryHasEnded(one));
      if (found) return found;
      cursor = page.cursor ?? undefined;
    } while (cursor);
    return undefined;
  }

  /** Newest first. */
  page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<RecoveryRecord>> {
    return this.#recoveries.page({ partition: ALL, index: true, ...query });
  }
}

function found(id: string, recovery: RecoveryRecord | undefined): RecoveryRecord {
  if (!recovery) throw new NotFoundError("recovery", id);
  return recovery;
}
