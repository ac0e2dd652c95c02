import { NotFoundError } from "#shared/errors.ts";
import { RecoveryPoint } from "#shared/protocol/resources.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: `POINT#${id}`, sk: "POINT" });
const ofSource = (sourceId: string) => `SOURCE#${sourceId}`;

/** Recovery points, which are written once. */
export class RecoveryPointStore {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Resolves with whether it is new. */
  add(point: RecoveryPoint): Promise<boolean> {
    return this.#table.putNew({
      ...keyOf(point.id),
      gsi1pk: ofSource(point.sourceId),
      gsi1sk: point.id,
      ...point,
    });
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<RecoveryPoint> {
    const item = await this.#table.get(keyOf(id));
    if (!item) throw new NotFoundError("recovery point", id);
    return RecoveryPoint.parse(item);
  }

  /** Newest first. */
  async page(
    sourceId: string,
    query: { limit: number; cursor?: string | undefined },
  ): Promise<TablePage<RecoveryPoint>> {
    const page = await this.#table.page({ partition: ofSource(sourceId), index: true, ...query });
    return { ...page, items: page.items.map((item) => RecoveryPoint.parse(item)) };
  }
}
