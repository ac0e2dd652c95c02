import { CollectionResult } from "#shared/protocol/resources.ts";
import type { Table } from "./table.ts";

const keyOf = (id: string, sourceId: string) => ({ pk: `COLLECTION#${id}`, sk: `SOURCE#${sourceId}` });
const KEPT_SECONDS = 400 * 24 * 3600;

/** What collections of garbage came to, for each source. */
export class CollectionStore {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Notes that it was started by hand. Those that the schedule starts have results only. */
  async begin(id: string, at: string): Promise<void> {
    const expiresAt = Math.floor(Date.parse(at) / 1000) + KEPT_SECONDS;
    await this.#table.putNew({ pk: `COLLECTION#${id}`, sk: "COLLECTION", at, expiresAt });
  }

  /** Adds a source's result. A repetition changes nothing: the first result stays. */
  async add(id: string, source: CollectionResult): Promise<void> {
    const expiresAt = Math.floor(Date.parse(source.at) / 1000) + KEPT_SECONDS;
    await this.#table.putNew({ ...keyOf(id, source.sourceId), ...source, expiresAt });
  }

  /** The results by source; `undefined` if there is no such collection. */
  async find(id: string): Promise<CollectionResult[] | undefined> {
    const items = await this.#table.all(`COLLECTION#${id}`);
    if (items.length === 0) return undefined;
    return items.filter(({ sk }) => sk !== "COLLECTION").map((item) => CollectionResult.parse(item));
  }
}
