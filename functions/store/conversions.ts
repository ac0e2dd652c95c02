import type { CommandRecord } from "#shared/domain/command.ts";
import { ConversionRecord } from "#shared/domain/conversion.ts";
import { NotFoundError } from "#shared/errors.ts";
import type { ConversionState } from "#shared/protocol/resources.ts";
import { Aggregates } from "./aggregates.ts";
import type { CommandStore } from "./commands.ts";
import { ownerPartition } from "./owner-partition.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: ownerPartition(id), sk: "CONVERSION" });
const PAGE = 20;
/** Conversions. Each shares a partition with its commands, so one query reads it with its progress. */
export class ConversionStore {
  readonly #table: Table;
  readonly #conversions: Aggregates<ConversionRecord>;
  readonly #commands: CommandStore;

  constructor(table: Table, commands: CommandStore) {
    this.#table = table;
    this.#commands = commands;
    this.#conversions = new Aggregates(table, {
      what: "conversion",
      schema: ConversionRecord,
      keys: (conversion) => ({ ...keyOf(conversion.id), gsi1pk: "CONVERSIONS", gsi1sk: conversion.id }),
    });
  }

  find(id: string): Promise<ConversionRecord | undefined> {
    return this.#conversions.find(keyOf(id));
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<ConversionRecord> {
    return found(id, await this.find(id));
  }

  /** Adds the conversion. Returns the existing one if there is one. */
  add(conversion: ConversionRecord): Promise<ConversionRecord> {
    return this.#conversions.modify(keyOf(conversion.id), (existing) => existing ?? conversion);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (conversion: ConversionRecord) => ConversionRecord): Promise<ConversionRecord> {
    return this.#conversions.modify(keyOf(id), (conversion) => change(found(id, conversion)));
  }

  /** The conversion and its commands, as of one moment. Throws `NotFoundError`. */
  async withCommands(id: string): Promise<{ conversion: ConversionRecord; commands: CommandRecord[] }> {
    const items = await this.#table.all(ownerPartition(id));
    const own = items.find((item) => item.sk === "CONVERSION");
    return {
      conversion: found(id, own && this.#conversions.parse(own)),
      commands: this.#commands.among(items),
    };
  }

  /** Newest first. */
  page(query: {
    limit: number;
    cursor?: string | undefined;
    state?: ConversionState | undefined;
  }): Promise<TablePage<ConversionRecord>> {
    const { state, ...rest } = query;
    const only = state && { attribute: "state", value: state };
    return this.#conversions.page({ partition: "CONVERSIONS", index: true, ...rest, only });
  }

  /**
   * The source's newest conversion of a type that restarts it. It searches all conversions from the newest
   * back, so it is only for rare use.
   */
  async latestRestarting(sourceId: string): Promise<ConversionRecord | undefined> {
    const only = { attribute: "sourceId", value: sourceId };
    let cursor: string | undefined;
    do {
      const page = await this.#conversions.page({
        partition: "CONVERSIONS",
        index: true,
        limit: PAGE,
        cursor,
        only,
      });
      const latest = page.items.find(({ whereabouts }) => whereabouts !== undefined);
      if (latest) return latest;
      cursor = page.cursor ?? undefined;
    } while (cursor);
    return undefined;
  }
}

function found(id: string, conversion: ConversionRecord | undefined): ConversionRecord {
  if (!conversion) throw new NotFoundError("conversion", id);
  return conversion;
}
