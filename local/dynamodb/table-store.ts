import { existsSync } from "node:fs";
import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import database, { type Level, type Store } from "dynalite/db/index.js";
import createTableRules from "dynalite/validations/createTable.js";
import validations from "dynalite/validations/index.js";
import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import { ACCOUNT_ID, type Clock, REGION } from "../core/service.ts";
import { OPERATIONS, type Operation } from "./operations.ts";
import { newTable, type Table, type TableDefinition, updatedTable } from "./table.ts";

/** How dynalite reports an error that the caller made. */
const DynaliteError = z.looseObject({
  statusCode: z.number(),
  body: z.looseObject({ __type: z.string(), message: z.string().optional(), Message: z.string().optional() }),
});

/**
 * This file exists while the store is open. If it exists at the start, the last process crashed and the store
 * repairs its indexes.
 */
const OPEN_MARKER = "open";

/**
 * DynamoDB tables on disk, by dynalite without its HTTP server. An acknowledged write survives power loss
 * because item writes are synced. Index entries are not synced. Dynalite writes an item and its index entries
 * separately, so after a crash the store rebuilds them from the items.
 */
export class TableStore {
  readonly #store: Store;
  readonly #directory: string;
  readonly #clock: Clock;

  private constructor(store: Store, directory: string, clock: Clock) {
    this.#store = store;
    this.#directory = directory;
    this.#clock = clock;
  }

  /**
   * Opens the tables in a directory and repairs the indexes if the last process crashed. Only one process at
   * a time can open a directory.
   */
  static async open({ directory, clock }: { directory: string; clock: Clock }): Promise<TableStore> {
    await mkdir(directory, { recursive: true });
    const store = database.create({ path: join(directory, "level") });
    store.tableDb.awsAccountId = ACCOUNT_ID;
    store.tableDb.awsRegion = REGION;
    await store.db.open();
    syncWrites(store.db);
    const tables = new TableStore(store, directory, clock);
    const marker = join(directory, OPEN_MARKER);
    if (existsSync(marker)) await tables.#repair();
    const file = await open(marker, "w");
    await file.sync();
    await file.close();
    return tables;
  }

  /**
   * Runs one operation and returns its output. Rejects with an `AwsError` as DynamoDB would, and with
   * `UnsupportedError` for input that dynalite ignores.
   */
  async run(operation: Operation, input: Record<string, unknown>): Promise<Record<string, unknown>> {
    const { run, rules } = OPERATIONS[operation];
    const ignored = Object.keys(input).filter((name) => !Object.hasOwn(rules.types, name));
    if (ignored.length > 0) throw new UnsupportedError(`${ignored.join(", ")} of ${operation}`);
    try {
      const checked = validations.checkTypes(input, rules.types);
      validations.checkValidations(checked, rules.types, rules.custom, this.#store);
      return await new Promise((resolve, reject) => {
        run(this.#store, checked, (error, output) => (error ? reject(error) : resolve(output ?? {})));
      });
    } catch (error) {
      throw toAwsError(error);
    }
  }

  /**
   * Creates the table or updates its indexes. Rejects if the change needs a new table (keys, local indexes).
   */
  async ensure(definition: TableDefinition): Promise<Table> {
    const input = { ...definition } as Record<string, unknown>;
    try {
      const checked = validations.checkTypes(input, createTableRules.types);
      validations.checkValidations(checked, createTableRules.types, createTableRules.custom, this.#store);
    } catch (error) {
      throw toAwsError(error);
    }
    const existing = (await this.#store.db.get(`${TABLES}${definition.TableName}`)) as Table | undefined;
    const table = existing ? updatedTable(existing, definition) : newTable(definition, this.#clock.now());
    await this.#store.db.put(`${TABLES}${definition.TableName}`, { ...table });
    const indexesBefore = JSON.stringify(existing?.GlobalSecondaryIndexes ?? []);
    if (existing && indexesBefore !== JSON.stringify(table.GlobalSecondaryIndexes ?? [])) {
      await this.#rebuildIndexes(table);
    }
    return table;
  }

  /**
   * Takes a snapshot of the content, and returns a function that writes it to a new directory, for
   * another store to open.
   */
  snapshot(): (directory: string) => Promise<void> {
    const { db } = this.#store;
    const snapshot = db.snapshot();
    return async (directory) => {
      await mkdir(directory, { recursive: true });
      const copy = database.create({ path: join(directory, "level") }).db;
      await copy.open();
      try {
        for await (const [key, value] of db.iterator({ snapshot })) await copy.put(key, value);
      } finally {
        await Promise.all([copy.close(), snapshot.close()]);
      }
      // The snapshot can contain an item without its index entries.
      await writeFile(join(directory, OPEN_MARKER), "");
    };
  }

  async close(): Promise<void> {
    await this.#store.db.close();
    await rm(join(this.#directory, OPEN_MARKER), { force: true });
  }

  async #repair(): Promise<void> {
    for await (const table of this.#store.db.values(range(TABLES)))
      await this.#rebuildIndexes(table as unknown as Table);
  }

  async #rebuildIndexes(table: Table): Promise<void> {
    const { db } = this.#store;
    const kinds = [
      ["local", table.LocalSecondaryIndexes ?? []],
      ["global", table.GlobalSecondaryIndexes ?? []],
    ] as const;
    for (const [kind, indexes] of kinds) {
      const prefix = `index-${kind}~${table.TableName}~`;
      await db.clear(range(prefix));
      if (indexes.length === 0) continue;
      for await (const item of db.values(range(`item-${table.TableName}~`))) {
        const { puts } = database.getIndexActions([...indexes], undefined, item, table);
        await db.batch(
          puts.map((put) => ({ type: "put", key: `${prefix}${put.index}~${put.key}`, value: put.item })),
        );
      }
    }
  }
}

const TABLES = "table~";

/** The range of keys with a prefix. The rest of a dynalite key is ASCII. */
function range(prefix: string): { gte: string; lt: string } {
  return { gte: prefix, lt: `${prefix}\u00ff` };
}

/**
 * Makes LevelDB flush every item to disk before it acknowledges the write. Dynalite has no option for this.
 */
function syncWrites(db: Level): void {
  const put = db._put.bind(db);
  const del = db._del.bind(db);
  const batch = db._batch.bind(db);
  const sync = (key: unknown): boolean => !String(key).startsWith("index-");
  db._put = (key, value, options) => put(key, value, { ...options, sync: sync(key) });
  db._del = (key, options) => del(key, { ...options, sync: sync(key) });
  db._batch = (operations, options) => batch(operations, { ...options, sync: true });
}

function toAwsError(error: unknown): unknown {
  const parsed = DynaliteError.safeParse(error);
  if (!parsed.success) return error;
  const { statusCode, body } = parsed.data;
  const code = body.__type.split("#").at(-1) ?? body.__type;
  return new AwsError(code, body.message ?? body.Message ?? "", statusCode, { cause: error });
}
