import { createHash } from "node:crypto";
import { newId } from "#shared/domain/id.ts";
import { AuditEntry } from "#shared/protocol/resources.ts";
import type { Table, TablePage } from "./table.ts";

const PARTITION = "AUDIT";
const HOUR_MS = 3600_000;

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
    await this.#put(entry, Date.parse(entry.at), this.#random(10));
  }

  /** Adds what can happen to its subject only once, at the time it was first seen to happen: repeating it adds nothing. */
  async addOnce(entry: NewAuditEntry): Promise<void> {
    const { action, subject, at } = entry;
    await this.#put(entry, Date.parse(at), digest(action, subject, at));
  }

  /** Adds what may be tried again and again, by the same actor on the same subject for the same reason, once in each clock hour. */
  async addHourly(entry: NewAuditEntry): Promise<void> {
    const { actor, action, subject, outcome, details } = entry;
    const at = Date.parse(entry.at);
    const hour = at - (at % HOUR_MS);
    await this.#put(entry, hour, digest(actor, action, subject, outcome, JSON.stringify(details)));
  }

  /** Newest first. */
  async page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<AuditEntry>> {
    const page = await this.#table.page({ partition: PARTITION, ...query });
    return { ...page, items: page.items.map((item) => AuditEntry.parse(item)) };
  }

  async #put(entry: NewAuditEntry, atMs: number, unique: Uint8Array): Promise<void> {
    const id = newId("aud", atMs, unique);
    await this.#table.putNew({ pk: PARTITION, sk: id, id, ...entry });
  }
}

function digest(...parts: (string | undefined)[]): Uint8Array {
  return createHash("sha256").update(parts.join(" ")).digest().subarray(0, 10);
}
