import { CausewayError } from "#shared/errors.ts";
/**
 * Where a repository's objects are stored. Use adapters behind `RetryingStore`, the one place that retries.
 * Every adapter passes `describeObjectStore` in `testing/object-store-contract.ts`.
 */
export interface ObjectStore {
  /**
   * Stores a new object whole or not at all; durable when it resolves. If the object exists, it stays as it
   * is and `ObjectExistsError` is thrown: no agent may overwrite or delete.
   */
  put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void>;
  /**
   * The object, or `range` of it; `ObjectNotFoundError` if there is none, `TransientStoreError` if the answer
   * breaks off.
   */
  get(key: string, options?: GetOptions): Promise<Buffer>;
  /** All objects whose keys start with `prefix`, ordered by key, each once. */
  list(prefix: string): AsyncIterable<ObjectSummary>;
}

export interface PutOptions {
  /** SHA-256 of the bytes, 64 hex digits; the store refuses bytes that do not match. */
  sha256: string;
  /** Awaited before each slice of the body is sent; a bandwidth limit slows an upload with it. */
  pace?: Pace;
  signal?: AbortSignal;
}
export type Pace = (bytes: number) => Promise<void>;

export interface GetOptions {
  range?: { offset: number; bytes: number };
  /** Where to put the bytes; the result is the filled part of it. If absent, memory is allocated. */
  into?: Buffer;
  signal?: AbortSignal;
}

export interface ObjectSummary {
  key: string;
  sizeBytes: number;
}

export class ObjectNotFoundError extends CausewayError {
  override readonly name = "ObjectNotFoundError";
  readonly retryable = false;
  readonly hint = "Run `causeway repo check`: it lists the recovery points that need the object.";
  readonly key: string;
  constructor(key: string) {
    super(`there is no object ${key}`);
    this.key = key;
  }
}

export class ObjectExistsError extends CausewayError {
  override readonly name = "ObjectExistsError";
  readonly retryable = false;
  readonly hint = "The object was written before; nothing was changed.";
  readonly key: string;
  constructor(key: string) {
    super(`there is already an object ${key}`);
    this.key = key;
  }
}

/** The store may answer on another attempt: a 5xx answer, a reset connection, a timeout, a torn answer. */
export class TransientStoreError extends CausewayError {
  override readonly name = "TransientStoreError";
  readonly retryable = true;
  readonly hint = "Check the network and the store; the operation resumes where it was.";
}

/** How services with S3's protocol say that an account or a bucket may not grow: Ceph, Versity, MinIO. */
const FULL_CODES = new Set(["QuotaExceeded", "XMinioAdminBucketQuotaExceeded"]);

/** The store refuses, and would refuse again. */
export class StoreRefusedError extends CausewayError {
  override readonly name = "StoreRefusedError";
  readonly retryable = false;
  readonly hint: string;
  /** The service's own code, such as `AccessDenied`. */
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
    this.hint = FULL_CODES.has(code)
      ? "The store's quota is used up: raise it, or keep fewer recovery points."
      : "Check the agent's credentials and its right to this prefix.";
  }
}
