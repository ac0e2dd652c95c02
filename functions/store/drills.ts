import { DrillRecord } from "#shared/domain/drill.ts";
import type { CommandStore } from "./commands.ts";
import { OwnerAggregates } from "./owner-aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const ALL = "DRILLS";

export class DrillStore extends OwnerAggregates<DrillRecord> {
  constructor(table: Table, commands: CommandStore) {
    super(table, commands, { what: "drill", schema: DrillRecord, listedIn: () => ALL });
  }

  /** Newest first. */
  page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<DrillRecord>> {
    return this.listed(ALL, query);
  }
}
