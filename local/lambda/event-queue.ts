import { DatabaseSync, type StatementSync } from "node:sqlite";
import * as z from "zod";

/** An asynchronous invocation that has not ended yet. Times are milliseconds since 1970. */
export interface QueuedEvent {
  /** Also the request id, the same for every attempt. */
  id: string;
  functionArn: string;
  /** JSON text. */
  payload: string;
  enqueuedAt: number;
  dueAt: number;
  /** Attempts that have failed. */
  failures: number;
}

const Row = z.object({
  id: z.string(),
  functionArn: z.string(),
  payload: z.string(),
  enqueuedAt: z.number(),
  dueAt: z.number(),
  failures: z.number(),
});

/**
 * The queue of asynchronous events, on disk. An event stays in it until it has ended, so a crash loses none.
 */
export class EventQueue {
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #next: StatementSync;
  readonly #nextDueAt: StatementSync;
  readonly #postpone: StatementSync;
  readonly #delete: StatementSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS events (
        id TEXT PRIMARY KEY, functionArn TEXT NOT NULL, payload TEXT NOT NULL,
        enqueuedAt INTEGER NOT NULL, dueAt INTEGER NOT NULL, failures INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX IF NOT EXISTS eventsByDueAt ON events (dueAt);
    `);
    const prepare = (sql: string): StatementSync => this.#database.prepare(sql);
    this.#insert = prepare(
      "INSERT INTO events VALUES (:id, :functionArn, :payload, :enqueuedAt, :dueAt, :failures)",
    );
    const available = `id NOT IN (SELECT value FROM json_each(:running))
      AND functionArn NOT IN (SELECT value FROM json_each(:full))`;
    this.#next = prepare(
      `SELECT * FROM events WHERE dueAt <= :now AND ${available} ORDER BY dueAt, rowid LIMIT 1`,
    );
    this.#nextDueAt = prepare(`SELECT MIN(dueAt) AS dueAt FROM events WHERE ${available}`);
    this.#postpone = prepare("UPDATE events SET dueAt = :dueAt, failures = :failures WHERE id = :id");
    this.#delete = prepare("DELETE FROM events WHERE id = ?");
  }

  add(event: QueuedEvent): void {
    this.#insert.run({ ...event });
  }

  /** The oldest due event, except events that already run and events of functions at their limit. */
  next(now: number, running: Iterable<string>, full: Iterable<string>): QueuedEvent | undefined {
    const row = this.#next.get({ now, running: toJson(running), full: toJson(full) });
    return row === undefined ? undefined : Row.parse(row);
  }

  nextDueAt(running: Iterable<string>, full: Iterable<string>): number | undefined {
    const row = this.#nextDueAt.get({ running: toJson(running), full: toJson(full) });
    return z.object({ dueAt: z.number().nullable() }).parse(row).dueAt ?? undefined;
  }

  postpone(id: string, dueAt: number, failures: number): void {
    this.#postpone.run({ id, dueAt, failures });
  }

  remove(id: string): void {
    this.#delete.run(id);
  }

  close(): void {
    this.#database.close();
  }
}

function toJson(values: Iterable<string>): string {
  return JSON.stringify([...values]);
}
