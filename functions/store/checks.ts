import { CheckRecord } from "#shared/domain/repository-check.ts";
import type { CommandStore } from "./commands.ts";
import { OwnerAggregates } from "./owner-aggregates.ts";
import type { Table } from "./table.ts";

/** Checks of repositories. */
export class CheckStore extends OwnerAggregates<CheckRecord> {
  constructor(table: Table, commands: CommandStore) {
    super(table, commands, { what: "check", schema: CheckRecord });
  }
}
