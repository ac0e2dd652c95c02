import { LeaseRecord, noLease } from "#shared/domain/lease.ts";
import { Aggregates } from "./aggregates.ts";
import type { Table } from "./table.ts";

const keyOf = (sourceId: string) => ({ pk: `LEASE#${sourceId}`, sk: "LEASE" });

/** The right to run of each source. One that never moved has no item. */
export class LeaseStore {
  readonly #leases: Aggregates<LeaseRecord>;

  constructor(table: Table) {
    this.#leases = new Aggregates(table, {
      what: "lease",
      schema: LeaseRecord,
      keys: ({ id }) => keyOf(id),
    });
  }

  async get(sourceId: string): Promise<LeaseRecord> {
    return (await this.#leases.find(keyOf(sourceId))) ?? noLease(sourceId);
  }

  /** Writes it with its next version. Throws `ConcurrentChangeError` if it was written since it was read. */
  save(lease: LeaseRecord): Promise<LeaseRecord> {
    return this.#leases.save(lease);
  }

  /** For what moves no right to run. Throws what `change` throws. */
  modify(sourceId: string, change: (lease: LeaseRecord) => LeaseRecord): Promise<LeaseRecord> {
    return this.#leases.modify(keyOf(sourceId), (lease) => change(lease ?? noLease(sourceId)));
  }
}
