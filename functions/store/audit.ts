import { createHash } from "node:crypto";
import { newId } from "#shared/domain/id.ts";
import { AuditEntry } from "#shared/protocol/resources.ts";
import { boundedDetails, clipped } from "./bounded-details.ts";
import type { Table, TablePage } from "./table.ts";

const PARTITION = "AUDIT";
const HOUR_MS = 3600_000;
const REPEATED_KEPT_MS = 90 * 24 * HOUR_MS;

export type NewAuditEntry = Omit<AuditEntry, "id">;

/** The audit. Entries are added and never changed, except for counts. */
export class AuditStore {
  readonly #table: Table;
  readonly #random: (length: number) => Uint8Array;

  constructor(table: Table, random: (length: number) => Uint8Array) {
    this.#table = table;
    this.#random = random;
  }

  /** Adds an entry for a single action of a known actor. */
  async add(entry: NewAuditEntry): Promise<void> {
    await this.#put(entry, Date.parse(entry.at), this.#random(10));
  }

  /** Adds an entry that anyone can cause, at a rate that is limited elsewhere. It expires after 90 days. */
  async addExpiring(entry: NewAuditEntry): Promise<void> {
    const expiresAt = Math.floor((Date.parse(entry.at) + REPEATED_KEPT_MS) / 1000);
    await this.#put({ ...entry, expiresAt }, Date.parse(entry.at), this.#random(10));
  }

  /**
   * Adds an entry for something that can happen to its subject only once. Repeating it with the same time
   * adds nothing.
   */
  async addOnce(entry: NewAuditEntry): Promise<void> {
    const { action, subject, at } = entry;
    await this.#put(entry, Date.parse(at), digest(action, subject, at));
  }

  /**
   * Counts what an actor can repeat without limit. There is one entry for each actor, action and `kind` in a
   * clock hour, with the first subject and details, the count, and the last time. It expires after 90 days.
   * `kind` must come from a set that the control plane bounds, never from text of the actor; details are cut
   * to a bounded size.
   */
  async addHourly({ at, details, ...entry }: NewAuditEntry, kind: string): Promise<void> {
    const atMs = Date.parse(at);
    const hourMs = atMs - (atMs % HOUR_MS);
    const id = newId("aud", hourMs, digest(entry.actor, entry.action, entry.outcome, kind, String(hourMs)));
    const first = {
      id,
      at,
      ...entry,
      subject: clipped(entry.subject),
      ...(details ? { details: boundedDetails(details) } : {}),
      expiresAt: Math.floor((hourMs + REPEATED_KEPT_MS) / 1000),
    };
    await this.#table.count({ pk: PARTITION, sk: id }, { first, latest: { lastAt: at } });
  }

  /** Newest first. */
  async page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<AuditEntry>> {
    const page = await this.#table.page({ partition: PARTITION, ...query });
    return { ...page, items: page.items.map((item) => AuditEntry.parse(item)) };
  }

  async #put(entry: NewAuditEntry & { expiresAt?: number }, atMs: number, unique: Uint8Array): Promise<void> {
    const id = newId("aud", atMs, unique);
    await this.#table.putNew({ pk: PARTITION, sk: id, id, ...entry });
  }
}

function digest(...parts: (string | undefined)[]): Uint8Array {
  return createHash("sha256").update(parts.join(" ")).digest().subarray(0, 10);
}
