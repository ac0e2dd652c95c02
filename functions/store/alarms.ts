import { AlarmRecord } from "#shared/domain/alarm.ts";
import { NotFoundError } from "#shared/errors.ts";
import type { AlarmKind } from "#shared/protocol/alarms.ts";
import { Aggregates } from "./aggregates.ts";
import type { Table, TablePage } from "./table.ts";

/** What an alarm is found by: there is one of each kind for a subject, open or cleared. */
export interface AlarmKey {
  kind: AlarmKind;
  subject: string;
}

const keyOf = ({ kind, subject }: AlarmKey) => ({ pk: `ALARM#${kind}#${subject}`, sk: "ALARM" });
const ALL = "ALARMS";
const CLEARED_KEPT_SECONDS = 90 * 86_400;

export class AlarmStore {
  readonly #table: Table;
  readonly #alarms: Aggregates<AlarmRecord>;

  constructor(table: Table) {
    this.#table = table;
    this.#alarms = new Aggregates(table, {
      what: "alarm",
      schema: AlarmRecord,
      keys: (alarm) => ({
        ...keyOf(alarm),
        gsi1pk: ALL,
        // Backwards, `open` comes before `cleared`.
        gsi1sk: `${alarm.state}#${alarm.id}`,
        ...(alarm.clearedAt
          ? { expiresAt: Math.ceil(Date.parse(alarm.clearedAt) / 1000) + CLEARED_KEPT_SECONDS }
          : {}),
      }),
    });
  }

  find(key: AlarmKey): Promise<AlarmRecord | undefined> {
    return this.#alarms.find(keyOf(key));
  }

  /** Throws `NotFoundError`. Eventually consistent. */
  async get(id: string): Promise<AlarmRecord> {
    const only = { attribute: "id", value: id };
    const { items } = await this.#table.page({ partition: ALL, index: true, limit: 1, only });
    if (!items[0]) throw new NotFoundError("alarm", id);
    return this.#alarms.parse(items[0]);
  }

  modify(key: AlarmKey, change: (alarm: AlarmRecord | undefined) => AlarmRecord): Promise<AlarmRecord> {
    return this.#alarms.modify(keyOf(key), change);
  }

  /** Changes an alarm if there is one. */
  async modifyExisting(
    key: AlarmKey,
    change: (alarm: AlarmRecord) => AlarmRecord,
  ): Promise<AlarmRecord | undefined> {
    if (!(await this.find(key))) return undefined;
    return this.modify(key, (alarm) => change(alarm ?? missing(key)));
  }

  /** Open ones first, then newest first. */
  page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<AlarmRecord>> {
    return this.#alarms.page({ partition: ALL, index: true, ...query });
  }
}

/** Alarms expire, but only long after anything changes them. */
function missing({ kind, subject }: AlarmKey): never {
  throw new NotFoundError(`alarm ${kind} of`, subject);
}
