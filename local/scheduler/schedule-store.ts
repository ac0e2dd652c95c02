import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import * as z from "zod";
import { ScheduleDefinition, type ScheduleKey, type ScheduleTarget } from "./schedule.ts";

/** A schedule and its progress. Times are milliseconds since 1970. */
export interface StoredSchedule extends ScheduleKey {
  definition: ScheduleDefinition;
  createdAt: number;
  modifiedAt: number;
  /** What rates count from. */
  anchor: number;
  /** Absent if it is disabled or will not fire again. */
  nextDueAt: number | undefined;
  /** Of the call that created it: the same call again is no conflict. */
  clientToken: string | undefined;
}

/** One firing of a schedule that has not reached its target yet. */
export interface Delivery extends ScheduleKey {
  /** What the target sees as the execution id. */
  id: string;
  target: ScheduleTarget;
  scheduledAt: number;
  /** Attempts that have failed. */
  failures: number;
  dueAt: number;
}

const json = z.string().transform((text): unknown => JSON.parse(text));
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullable().transform((value) => value ?? undefined);
const ScheduleRow = z.object({
  group: z.string(),
  name: z.string(),
  // Stored in its parsed form, whose times are milliseconds already.
  definition: json.transform((value) => value as ScheduleDefinition),
  createdAt: z.number(),
  modifiedAt: z.number(),
  anchor: z.number(),
  nextDueAt: optional(z.number()),
  clientToken: optional(z.string()),
});
const DeliveryRow = z.object({
  id: z.string(),
  group: z.string(),
  name: z.string(),
  target: json.pipe(ScheduleDefinition.shape.Target),
  scheduledAt: z.number(),
  failures: z.number(),
  dueAt: z.number(),
});

/** Schedules and pending deliveries on disk. */
export class ScheduleStore {
  readonly #database: DatabaseSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS schedules (
        "group" TEXT NOT NULL, name TEXT NOT NULL, definition TEXT NOT NULL, createdAt INTEGER NOT NULL,
        modifiedAt INTEGER NOT NULL, anchor INTEGER NOT NULL, nextDueAt INTEGER, clientToken TEXT,
        PRIMARY KEY ("group", name)
      ) STRICT;
      CREATE INDEX IF NOT EXISTS schedulesByNextDueAt ON schedules (nextDueAt);
      CREATE TABLE IF NOT EXISTS deliveries (
        id TEXT PRIMARY KEY, "group" TEXT NOT NULL, name TEXT NOT NULL, target TEXT NOT NULL,
        scheduledAt INTEGER NOT NULL, failures INTEGER NOT NULL, dueAt INTEGER NOT NULL
      ) STRICT;
    `);
  }

  get({ group, name }: ScheduleKey): StoredSchedule | undefined {
    const row = this.#database
      .prepare('SELECT * FROM schedules WHERE "group" = ? AND name = ?')
      .get(group, name);
    return row === undefined ? undefined : ScheduleRow.parse(row);
  }

  /** In the order of group and name, beginning after `after`. */
  list(filter: { group?: string; namePrefix: string; state?: string; after: ScheduleKey; limit: number }) {
    const { group, namePrefix, state, after, limit } = filter;
    const rows = this.#database
      .prepare(
        `SELECT * FROM schedules
         WHERE (:group IS NULL OR "group" = :group) AND substr(name, 1, length(:namePrefix)) = :namePrefix
           AND (:state IS NULL OR definition ->> '$.State' = :state)
           AND ("group", name) > (:afterGroup, :afterName)
         ORDER BY "group", name LIMIT :limit`,
      )
      .all({
        group: group ?? null,
        namePrefix,
        state: state ?? null,
        afterGroup: after.group,
        afterName: after.name,
        limit,
      });
    return rows.map((row) => ScheduleRow.parse(row));
  }

  due(now: number): StoredSchedule[] {
    const rows = this.#database
      .prepare("SELECT * FROM schedules WHERE nextDueAt <= ? ORDER BY nextDueAt")
      .all(now);
    return rows.map((row) => ScheduleRow.parse(row));
  }

  put(schedule: StoredSchedule): void {
    this.#database
      .prepare(
        `INSERT OR REPLACE INTO schedules
         VALUES (:group, :name, :definition, :createdAt, :modifiedAt, :anchor, :nextDueAt, :clientToken)`,
      )
      .run(columns({ ...schedule, definition: JSON.stringify(schedule.definition) }));
  }

  delete({ group, name }: ScheduleKey): void {
    this.#database.prepare('DELETE FROM schedules WHERE "group" = ? AND name = ?').run(group, name);
  }

  /**
   * Records that a schedule fired, and what comes next, in one transaction: neither is ever without the
   * other.
   */
  fire(delivery: Delivery | undefined, schedule: StoredSchedule, remains: boolean): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      if (delivery) this.putDelivery(delivery);
      if (remains) this.put(schedule);
      else this.delete(schedule);
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  putDelivery(delivery: Delivery): void {
    this.#database
      .prepare(
        `INSERT OR REPLACE INTO deliveries (id, "group", name, target, scheduledAt, failures, dueAt)
         VALUES (:id, :group, :name, :target, :scheduledAt, :failures, :dueAt)`,
      )
      .run(columns({ ...delivery, target: JSON.stringify(delivery.target) }));
  }

  deleteDelivery(id: string): void {
    this.#database.prepare("DELETE FROM deliveries WHERE id = ?").run(id);
  }

  deliveries(): Delivery[] {
    const rows = this.#database.prepare("SELECT * FROM deliveries ORDER BY dueAt").all();
    return rows.map((row) => DeliveryRow.parse(row));
  }

  nextScheduleDueAt(): number | undefined {
    const row = this.#database.prepare("SELECT MIN(nextDueAt) AS dueAt FROM schedules").get();
    return z.object({ dueAt: optional(z.number()) }).parse(row).dueAt;
  }

  close(): void {
    this.#database.close();
  }
}

function columns(values: Record<string, SQLInputValue | undefined>): Record<string, SQLInputValue> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value ?? null]));
}
