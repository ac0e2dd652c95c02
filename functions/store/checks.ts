import type { CommandRecord } from "#shared/domain/command.ts";
import { CheckRecord } from "#shared/domain/repository-check.ts";
import { NotFoundError } from "#shared/errors.ts";
import { Aggregates } from "./aggregates.ts";
import type { CommandStore } from "./commands.ts";
import { ownerPartition } from "./owner-partition.ts";
import type { Table } from "./table.ts";

const keyOf = (id: string) => ({ pk: ownerPartition(id), sk: "CHECK" });

/** Checks of repositories. Each shares a partition with its command. */
export class CheckStore {
  readonly #table: Table;
  readonly #checks: Aggregates<CheckRecord>;
  readonly #commands: CommandStore;

  constructor(table: Table, commands: CommandStore) {
    this.#table = table;
    this.#commands = commands;
    this.#checks = new Aggregates(table, {
      what: "check",
      schema: CheckRecord,
      keys: (check) => keyOf(check.id),
    });
  }

  find(id: string): Promise<CheckRecord | undefined> {
    return this.#checks.find(keyOf(id));
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<CheckRecord> {
    return found(id, await this.find(id));
  }

  /** Adds the check. Returns the existing one if there is one. */
  add(check: CheckRecord): Promise<CheckRecord> {
    return this.#checks.modify(keyOf(check.id), (existing) => existing ?? check);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (check: CheckRecord) => CheckRecord): Promise<CheckRecord> {
    return this.#checks.modify(keyOf(id), (check) => change(found(id, check)));
  }

  /** The check and its commands, as of one moment. Throws `NotFoundError`. */
  async withCommands(id: string): Promise<{ check: CheckRecord; commands: CommandRecord[] }> {
    const items = await this.#table.all(ownerPartition(id));
    const own = items.find((item) => item.sk === "CHECK");
    return { check: found(id, own && this.#checks.parse(own)), commands: this.#commands.among(items) };
  }
}

function found(id: string, check: CheckRecord | undefined): CheckRecord {
  if (!check) throw new NotFoundError("check", id);
  return check;
}
