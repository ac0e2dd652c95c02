import { ConversionRecord } from "#shared/domain/conversion.ts";
import type { ConversionState } from "#shared/protocol/resources.ts";
import type { CommandStore } from "./commands.ts";
import { OwnerAggregates } from "./owner-aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const ALL = "CONVERSIONS";
const PAGE = 20;

export class ConversionStore extends OwnerAggregates<ConversionRecord> {
  constructor(table: Table, commands: CommandStore) {
    super(table, commands, { what: "conversion", schema: ConversionRecord, listedIn: () => ALL });
  }

  /** Newest first. */
  page(query: {
    limit: number;
    cursor?: string | undefined;
    state?: ConversionState | undefined;
  }): Promise<TablePage<ConversionRecord>> {
    const { state, ...rest } = query;
    return this.listed(ALL, { ...rest, only: state && { attribute: "state", value: state } });
  }

  /** The source's newest conversion of a type that restarts it. */
  latestRestarting(sourceId: string): Promise<ConversionRecord | undefined> {
    const fits = ({ whereabouts }: ConversionRecord) => whereabouts !== undefined;
    return this.newestOfSource(sourceId, { partition: ALL, limit: PAGE, fits });
  }
}
