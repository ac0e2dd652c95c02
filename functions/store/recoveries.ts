import { RecoveryRecord, recoveryHasEnded } from "#shared/domain/recovery.ts";
import type { CommandStore } from "./commands.ts";
import { OwnerAggregates } from "./owner-aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const ALL = "RECOVERIES";
const PAGE = 100;

export class RecoveryStore extends OwnerAggregates<RecoveryRecord> {
  constructor(table: Table, commands: CommandStore) {
    super(table, commands, { what: "recovery", schema: RecoveryRecord, listedIn: () => ALL });
  }

  /** The newest recovery of the source in production that has not ended. Eventually consistent. */
  unendedInProduction(sourceId: string): Promise<RecoveryRecord | undefined> {
    const fits = (one: RecoveryRecord) => one.network === "production" && !recoveryHasEnded(one);
    return this.newestOfSource(sourceId, { partition: ALL, limit: PAGE, fits });
  }

  /** Newest first. */
  page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<RecoveryRecord>> {
    return this.listed(ALL, query);
  }
}
