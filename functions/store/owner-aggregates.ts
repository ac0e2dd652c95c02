import type * as z from "zod";
import type { CommandRecord } from "#shared/domain/command.ts";
import { NotFoundError } from "#shared/errors.ts";
import type { OwnerKind } from "#shared/protocol/ids.ts";
import { type Aggregate, Aggregates } from "./aggregates.ts";
import type { CommandStore } from "./commands.ts";
import { ownerPartition } from "./owner-partition.ts";
import type { Key, PageQuery, Table, TablePage } from "./table.ts";

/**
 * All aggregates of one kind that own commands. Each shares a partition with its commands, so one query reads
 * it with its progress.
 */
export class OwnerAggregates<T extends Aggregate> {
  readonly #table: Table;
  readonly #commands: CommandStore;
  readonly #kind: OwnerKind;
  readonly #records: Aggregates<T>;

  /** `listedIn`: the partition of the index that lists a record; it is in none if absent. */
  constructor(
    table: Table,
    commands: CommandStore,
    kind: { what: OwnerKind; schema: z.ZodType<T>; listedIn?: (record: T) => string },
  ) {
    const { what, schema, listedIn } = kind;
    this.#table = table;
    this.#commands = commands;
    this.#kind = what;
    this.#records = new Aggregates(table, {
      ...{ what, schema },
      keys: (record) => ({
        ...this.#keyOf(record.id),
        ...(listedIn ? { gsi1pk: listedIn(record), gsi1sk: record.id } : {}),
      }),
    });
  }

  find(id: string): Promise<T | undefined> {
    return this.#records.find(this.#keyOf(id));
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<T> {
    return this.#found(id, await this.find(id));
  }

  /** Adds the record. Returns the existing one if there is one. */
  add(record: T): Promise<T> {
    return this.#records.modify(this.#keyOf(record.id), (existing) => existing ?? record);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (record: T) => T): Promise<T> {
    return this.#records.modify(this.#keyOf(id), (record) => change(this.#found(id, record)));
  }

  /** The record and its commands, as of one moment. Throws `NotFoundError`. */
  async withCommands(id: string): Promise<{ record: T; commands: CommandRecord[] }> {
    const items = await this.#table.all(ownerPartition(id));
    const own = items.find(({ sk }) => sk === this.#keyOf(id).sk);
    return {
      record: this.#found(id, own && this.#records.parse(own)),
      commands: this.#commands.among(items),
    };
  }

  /** Of one partition of the index, newest first. */
  protected listed(partition: string, query: Omit<PageQuery, "partition" | "index">): Promise<TablePage<T>> {
    return this.#records.page({ partition, index: true, ...query });
  }

  /**
   * The source's newest record that fits; eventually consistent. It searches all records from the newest
   * back, `limit` at a time, so it is only for rare use.
   */
  protected async newestOfSource(
    sourceId: string,
    { partition, limit, fits }: { partition: string; limit: number; fits: (record: T) => boolean },
  ): Promise<T | undefined> {
    const only = { attribute: "sourceId", value: sourceId };
    let cursor: string | undefined;
    do {
      const page = await this.listed(partition, { limit, cursor, only });
      const newest = page.items.find(fits);
      if (newest) return newest;
      cursor = page.cursor ?? undefined;
    } while (cursor);
    return undefined;
  }

  #keyOf(id: string): Key {
    return { pk: ownerPartition(id), sk: this.#kind.toUpperCase() };
  }

  #found(id: string, record: T | undefined): T {
    if (!record) throw new NotFoundError(this.#kind, id);
    return record;
  }
}
