import { Readable } from "node:stream";
import { AwsError } from "../core/aws-error.ts";
import type { Service, ServiceRequest, ServiceResponse } from "../core/service.ts";
import { parsePath } from "./address.ts";
import type { Store } from "./call.ts";
import { assertKey, type IdSource } from "./names.ts";
import { route } from "./router.ts";
import { S3Error } from "./s3-error.ts";
import { renderXml } from "./xml.ts";

/**
 * The port through which tests make S3 fail. `before` is awaited before each operation. It can delay, throw
 * an `AwsError` (such as 503 SlowDown), or reset the connection, either instead of the operation ("reset") or
 * after it ("lose-answer").
 */
export interface Faults {
  before(request: { operation: string; bucket: string; key: string }): Promise<FaultOutcome>;
}
// biome-ignore lint/suspicious/noConfusingVoidType: a port that returns nothing means no fault.
export type FaultOutcome = void | "reset" | "lose-answer";

export interface S3ServiceOptions {
  store: Store;
  ids: IdSource;
  faults?: Faults;
  /** Releases the store once no request is under way. */
  release: () => Promise<void>;
}

/** The wire adapter: REST and XML, path-style. */
export class S3Service implements Service {
  readonly name = "s3";
  readonly #options: S3ServiceOptions;
  readonly #active = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(options: S3ServiceOptions) {
    this.#options = options;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    if (this.#closed) throw new S3Error("ServiceUnavailable");
    const running = this.#run(request);
    this.#active.add(running);
    try {
      return await running;
    } finally {
      this.#active.delete(running);
      // An unread body must not block the connection's next request.
      if (!request.body.readableEnded) request.body.resume();
    }
  }

  async #run(request: ServiceRequest): Promise<ServiceResponse> {
    const { store, ids, faults } = this.#options;
    const { bucket: name, key } = parsePath(request.path);
    if (name === "") throw new S3Error("MethodNotAllowed", "Only buckets and objects are served.");
    if (key !== "") assertKey(key);
    const operation = route(request, key !== "");
    const fault = await faults?.before({ operation: operation.name, bucket: name, key });
    if (fault === "reset") return resetAnswer();
    const call = { caller: request.caller, bucket: store.buckets.require(name), key, request };
    try {
      const response = await operation.run(call, store);
      if (fault === "lose-answer") {
        if (response.body instanceof Readable) response.body.destroy();
        return resetAnswer();
      }
      return { ...response, headers: { ...response.headers, "x-amz-request-id": ids.next() } };
    } finally {
      // No answer, not even an error, may reveal a commit that a power loss could still undo.
      await store.metadata.durable();
    }
  }

  renderError(error: unknown, request: { method: string; path: string }): ServiceResponse {
    const known = error instanceof AwsError ? error : new S3Error("InternalError");
    const requestId = this.#options.ids.next();
    const headers = {
      ...(error instanceof S3Error ? error.headers : {}),
      "content-type": "application/xml",
      "x-amz-request-id": requestId,
    };
    if (request.method === "HEAD") return { status: known.status, headers };
    const { code, message } = known;
    const body = renderXml(
      "Error",
      { Code: code, Message: message, Resource: request.path, RequestId: requestId },
      "",
    );
    return { status: known.status, headers, body };
  }

  /** Waits for running requests to end, then releases the store. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      await Promise.allSettled(this.#active);
      await this.#options.release();
    })();
    return this.#closed;
  }
}

/** An answer that fails before its first byte, so that the gateway cuts the connection. */
function resetAnswer(): ServiceResponse {
  const body = new Readable({
    read() {
      this.destroy(new Error("connection reset by fault injection"));
    },
  });
  return { status: 200, headers: {}, body };
}
