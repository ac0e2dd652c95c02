import { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import type { CommandStore } from "./commands.ts";
import { OwnerAggregates } from "./owner-aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const ALL = "CUTOVERS";
const PAGE = 20;

export class CutoverStore extends OwnerAggregates<CutoverRecord> {
  constructor(table: Table, commands: CommandStore) {
    super(table, commands, { what: "cutover", schema: CutoverRecord, listedIn: () => ALL });
  }

  /** Newest first. */
  page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<CutoverRecord>> {
    return this.listed(ALL, query);
  }

  /** The source's newest cutover that restarts it. */
  latestRestarting(sourceId: string): Promise<CutoverRecord | undefined> {
    const fits = ({ whereabouts }: CutoverRecord) => whereabouts !== undefined;
    return this.newestOfSource(sourceId, { partition: ALL, limit: PAGE, fits });
  }
}
