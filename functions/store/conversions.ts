import {
  type CommandRecord,
  CommandRecord as CommandSchema,
  conversionIdOf,
  isOpen,
} from "#shared/domain/command.ts";
import { ConversionRecord } from "#shared/domain/conversion.ts";
import { NotFoundError } from "#shared/errors.ts";
import type { ConversionState } from "#shared/protocol/resources.ts";
import { Aggregates } from "./aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const partition = (conversionId: string) => `CONVERSION#${conversionId}`;
const keyOf = (id: string) => ({ pk: partition(id), sk: "CONVERSION" });
const commandKey = (id: string) => ({ pk: partition(conversionIdOf(id) ?? id), sk: `COMMAND#${id}` });
const PAGE = 20;
const pendingOf = (agentId: string) => `PENDING#${agentId}`;

/**
 * Conversions and their commands. They share a partition, so one query reads a conversion with its progress.
 */
export class ConversionStore {
  readonly #table: Table;
  readonly #conversions: Aggregates<ConversionRecord>;
  readonly #commands: Aggregates<CommandRecord>;

  constructor(table: Table) {
    this.#table = table;
    this.#conversions = new Aggregates(table, {
      what: "conversion",
      schema: ConversionRecord,
      keys: (conversion) => ({ ...keyOf(conversion.id), gsi1pk: "CONVERSIONS", gsi1sk: conversion.id }),
    });
    this.#commands = new Aggregates(table, {
      what: "command",
      schema: CommandSchema,
      // The index has only open commands, which an agent asks for when it connects.
      keys: (command) => ({
        ...commandKey(command.id),
        ...(isOpen(command)
          ? { gsi1pk: pendingOf(command.agentId), gsi1sk: `${command.issuedAt}#${command.id}` }
          : {}),
      }),
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
    const items = await this.#table.all(partition(id));
    const own = items.find((item) => item.sk === "CONVERSION");
    return {
      conversion: found(id, own && this.#conversions.parse(own)),
      commands: items.filter((item) => item !== own).map((item) => this.#commands.parse(item)),
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

  findCommand(id: string): Promise<CommandRecord | undefined> {
    return this.#commands.find(commandKey(id));
  }

  /** Throws `ConcurrentChangeError` if it was written since it was read, or if a new one already exists. */
  saveCommand(command: CommandRecord): Promise<CommandRecord> {
    return this.#commands.save(command);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modifyCommand(id: string, change: (command: CommandRecord) => CommandRecord): Promise<CommandRecord> {
    return this.#commands.modify(commandKey(id), (command) => {
      if (!command) throw new NotFoundError("command", id);
      return change(command);
    });
  }

  /**
   * The agent's unfinished commands, oldest first. They come from the index, so the newest command can be
   * missing.
   */
  async pendingCommands(agentId: string): Promise<CommandRecord[]> {
    const items = await this.#table.allInIndex(pendingOf(agentId));
    return items.map((item) => this.#commands.parse(item));
  }
}

function found(id: string, conversion: ConversionRecord | undefined): ConversionRecord {
  if (!conversion) throw new NotFoundError("conversion", id);
  return conversion;
}
