import { createHash } from "node:crypto";
import { newId } from "#shared/domain/id.ts";
import { AuditEntry } from "#shared/protocol/resources.ts";
import type { Page, Table } from "./table.ts";

const PARTITION = "AUDIT";

export type NewAuditEntry = Omit<AuditEntry, "id">;

/** Who did what. Entries are only ever added. */
export class AuditStore {
  readonly #table: Table;
  readonly #random: (length: number) => Uint8Array;

  constructor(table: Table, random: (length: number) => Uint8Array) {
    this.#table = table;
    this.#random = random;
  }

  async add(entry: NewAuditEntry): Promise<void> {
    await this.#put(entry, this.#random(10));
  }

  /** Adds what can happen to its subject only once, at the time it was first seen to happen: repeating it adds nothing. */
  async addOnce(entry: NewAuditEntry): Promise<void> {
    const { action, subject, at } = entry;
    await this.#put(
      entry,
      createHash("sha256").update(`${action} ${subject} ${at}`).digest().subarray(0, 10),
    );
  }

  /** Newest first. */
  async page(query: { limit: number; cursor?: string | undefined }): Promise<Page<AuditEntry>> {
    const page = await this.#table.page({ partition: PARTITION, ...query });
    return { ...page, items: page.items.map((item) => AuditEntry.parse(item)) };
  }

  async #put(entry: NewAuditEntry, unique: Uint8Array): Promise<void> {
    const id = newId("aud", Date.parse(entry.at), unique);
    await this.#table.putNew({ pk: PARTITION, sk: id, id, ...entry });
  }
}
