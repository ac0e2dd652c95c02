import { InvalidInputError } from "#shared/errors.ts";
import { sha256OfText } from "./sha256.ts";
import type { Table } from "./table.ts";

const KEEP_SECONDS = 86_400;

export interface Reservation {
  operation: string;
  actor: string;
  /** The caller's `Idempotency-Key`. */
  key: string;
  /** The request itself. The same key with another request is refused. */
  request: unknown;
  /** The id to use if this is the first request with the key. */
  id: string;
  nowMs: number;
}

/**
 * Remembers for a day which id a request got, so that a repeated request gets the same id and creates nothing
 * new.
 */
export class ReservationStore {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** The id that belongs to the key. Throws `InvalidInputError` if the key was used with another request. */
  async reserve({ operation, actor, key, request, id, nowMs }: Reservation): Promise<string> {
    const requestHash = sha256OfText(JSON.stringify(request));
    const item = {
      pk: `IDEMPOTENCY#${sha256OfText(JSON.stringify([operation, actor, key]))}`,
      sk: "IDEMPOTENCY",
      expiresAt: Math.ceil(nowMs / 1000) + KEEP_SECONDS,
      id,
      requestHash,
    };
    if (await this.#table.putNew(item)) return id;
    const first = await this.#table.get(item);
    if (first?.requestHash !== requestHash || typeof first.id !== "string") {
      throw new InvalidInputError([{ path: "Idempotency-Key", message: "was used with another request" }]);
    }
    return first.id;
  }
}
