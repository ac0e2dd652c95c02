/** The parts of dynalite that run operations in this process, without its unauthenticated HTTP server. */
declare module "dynalite/db/index.js" {
  type Value = Record<string, unknown>;
  interface Range {
    gte: string;
    lt: string;
  }
  interface WriteOptions {
    sync?: boolean;
  }
  interface Snapshot {
    close(): Promise<void>;
  }
  interface Level {
    open(): Promise<void>;
    close(): Promise<void>;
    get(key: string): Promise<Value | undefined>;
    put(key: string, value: Value): Promise<void>;
    batch(operations: { type: "put"; key: string; value: Value }[]): Promise<void>;
    clear(range: Range): Promise<void>;
    /** A snapshot of the current content for iterators. The caller closes it. */
    snapshot(): Snapshot;
    iterator(options: { snapshot: Snapshot }): AsyncIterable<[string, Value]>;
    keys(range: Range): AsyncIterable<string>;
    values(range: Range): AsyncIterable<Value>;
    /**
     * The methods that put, del and batch call. A subclass or instance can override them (abstract-level
     * documents these extension points).
     */
    _put(key: string, value: unknown, options: WriteOptions): Promise<void>;
    _del(key: string, options: WriteOptions): Promise<void>;
    _batch(operations: unknown[], options: WriteOptions): Promise<void>;
  }
  interface Store {
    db: Level;
    tableDb: { awsAccountId: string; awsRegion: string };
  }
  interface IndexActions {
    puts: { index: string; key: string; item: Record<string, unknown> }[];
  }
  const database: {
    create(options: { path?: string }): Store;
    getIndexActions(indexes: unknown[], before: undefined, after: unknown, table: unknown): IndexActions;
  };
  export default database;
  export type { Level, Store };
}

declare module "dynalite/validations/index.js" {
  const validations: {
    checkTypes(input: object, types: object): Record<string, unknown>;
    checkValidations(input: object, types: object, custom: unknown, store: unknown): void;
  };
  export default validations;
}

declare module "dynalite/validations/*" {
  const validation: { types: Record<string, unknown>; custom?: unknown };
  export default validation;
}

declare module "dynalite/actions/*" {
  const action: (
    store: unknown,
    input: Record<string, unknown>,
    done: (error: unknown, output?: Record<string, unknown>) => void,
  ) => void;
  export default action;
}
