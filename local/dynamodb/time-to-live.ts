import * as z from "zod";
import type { Clock, Timer } from "../core/service.ts";
import type { TableStore } from "./table-store.ts";

const ScanPage = z.object({
  Items: z.array(z.record(z.string(), z.unknown())),
  LastEvaluatedKey: z.record(z.string(), z.unknown()).optional(),
});

/** AWS deletes expired items "within a few days"; a sweep reads whole tables, so it should not run often. */
const SWEEP_INTERVAL_MS = 15 * 60_000;
/** As on AWS, an earlier time counts as a mistake, and the item is kept. */
const OLDEST_SECONDS = 5 * 365 * 86_400;

/** Deletes items whose time-to-live attribute (seconds since 1970) has passed, in tables that declare one. */
export class TimeToLive {
  readonly #tables: TableStore;
  readonly #clock: Clock;
  readonly #log: (message: string, error: unknown) => void;
  readonly #attributes = new Map<string, string>();
  #timer: Timer | undefined;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(options: { tables: TableStore; clock: Clock; log(message: string, error: unknown): void }) {
    this.#tables = options.tables;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Includes a table in all sweeps from the next one on. */
  watch(tableName: string, attribute: string): void {
    this.#attributes.set(tableName, attribute);
    this.#timer ??= this.#scheduleSweep();
  }

  /** Deletes all expired items. */
  async sweep(): Promise<void> {
    for (const [tableName, attribute] of this.#attributes) await this.#sweepTable(tableName, attribute);
  }

  /** Stops sweeping and waits for a sweep under way. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#attributes.clear();
    await this.#sweeping;
  }

  #scheduleSweep(): Timer {
    return this.#clock.schedule(SWEEP_INTERVAL_MS, () => {
      this.#sweeping = this.sweep()
        .catch((error: unknown) =>
          this.#log("deleting expired items failed; the next sweep tries again", error),
        )
        .then(() => {
          if (this.#timer) this.#timer = this.#scheduleSweep();
        });
    });
  }

  async #sweepTable(TableName: string, attribute: string): Promise<void> {
    const now = Math.floor(this.#clock.now() / 1000);
    const expired = {
      ExpressionAttributeNames: { "#expiry": attribute },
      ExpressionAttributeValues: {
        ":oldest": { N: String(now - OLDEST_SECONDS) },
        ":now": { N: String(now) },
      },
    };
    const condition = "#expiry BETWEEN :oldest AND :now";
    const keyNames = await this.#keyNames(TableName);
    let from: Record<string, unknown> | undefined;
    do {
      const scan = {
        TableName,
        FilterExpression: condition,
        ...expired,
        ...(from && { ExclusiveStartKey: from }),
      };
      const page = ScanPage.parse(await this.#tables.run("Scan", scan));
      for (const item of page.Items) {
        const Key = Object.fromEntries(keyNames.map((name) => [name, item[name]]));
        await this.#deleteIfExpired({ TableName, Key, ConditionExpression: condition, ...expired });
      }
      from = page.LastEvaluatedKey;
    } while (from && this.#attributes.has(TableName));
  }

  async #deleteIfExpired(input: Record<string, unknown>): Promise<void> {
    try {
      await this.#tables.run("DeleteItem", input);
    } catch (error) {
      // The item's expiry time was extended after the scan read it.
      if (error instanceof Error && "code" in error && error.code === "ConditionalCheckFailedException")
        return;
      throw error;
    }
  }

  async #keyNames(TableName: string): Promise<string[]> {
    const description = z
      .object({ Table: z.object({ KeySchema: z.array(z.object({ AttributeName: z.string() })) }) })
      .parse(await this.#tables.run("DescribeTable", { TableName }));
    return description.Table.KeySchema.map(({ AttributeName }) => AttributeName);
  }
}
