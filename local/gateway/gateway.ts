import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UnsupportedError } from "../core/aws-error.ts";
import { jsonErrorResponse } from "../core/json-protocol.ts";
import type { Clock, Service, ServiceRequest, ServiceResponse } from "../core/service.ts";
import { type Authenticated, Authenticator, type SessionLookup } from "./authenticator.ts";
import { BODY_LIMIT_BYTES, readVerified } from "./body.ts";
import { inDialectOf } from "./error-dialect.ts";
import { isSigned } from "./sigv4.ts";

/** Answers requests that are not for an AWS service: the HTTP API. It ends the response itself. */
export type Fallback = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface GatewayOptions {
  sessions: SessionLookup;
  clock: Clock;
  /** PEM. If set, the gateway uses TLS. */
  tls?: { key: string; cert: string };
  /** Called with errors that no caller can receive. */
  log(message: string, error: unknown): void;
}

/** What a gateway that is open answers with. */
interface Routes {
  services: ReadonlyMap<string, Service>;
  fallback: Fallback;
}

/**
 * Longer than clients keep idle connections, so that the server never closes one while a client sends a
 * request.
 */
const KEEP_ALIVE_MS = 80_000;
/** Enough for a pack of several MiB over the slowest usable link. */
const REQUEST_TIMEOUT_MS = 30 * 60_000;
/** How long calls under way may take to end when the gateway closes. */
const CLOSE_GRACE_MS = 2000;

/** Requests signed for it go to the fallback too: it has the AWS_IAM authorizer. */
const HTTP_API_SIGNING_NAME = "execute-api";

/**
 * The one HTTP server of the embedded cloud. A request signed with SigV4 is verified and handed to the
 * service that its credential scope names; everything else goes to the HTTP API.
 */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #authenticator: Authenticator;
  readonly #server: Server;
  readonly #routes = Promise.withResolvers<Routes>();

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#authenticator = new Authenticator({ ...options, bodyLimitBytes: BODY_LIMIT_BYTES });
    const listener: RequestListener = (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        options.log(`${request.method} ${request.url} broke off`, error);
        response.destroy();
      });
    };
    this.#server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.#server.headersTimeout = KEEP_ALIVE_MS + 1000;
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS;
  }

  /**
   * Listens on the port (0: any free one) and returns it. Requests wait until `open`, because resources can
   * need the port before they exist.
   */
  async listen(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Starts answering. AWS calls go to the service of that name. */
  open(services: readonly Service[], fallback: Fallback): void {
    this.#routes.resolve({ services: new Map(services.map((service) => [service.name, service])), fallback });
  }

  /**
   * The caller of a request signed with SigV4, for the AWS_IAM authorizer of the HTTP API; throws `AwsError`.
   */
  authenticate(request: IncomingMessage): Promise<Authenticated> {
    return this.#authenticator.authenticate(request);
  }

  /** Stops accepting calls and waits briefly for running ones. Does not close the services. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const grace = this.#options.clock.schedule(CLOSE_GRACE_MS, () => this.#server.closeAllConnections());
    await closed;
    grace.cancel();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { services, fallback } = await this.#routes.promise;
    // By the clock that also dates what is stored; SDKs correct the times of their signatures by it.
    response.setHeader("date", new Date(this.#options.clock.now()).toUTCString());
    const { authorization } = request.headers;
    if (isSigned(authorization)) {
      const name = signingName(authorization);
      if (name === HTTP_API_SIGNING_NAME) return fallback(request, response);
      return send(request, response, await this.#call(request, name, services.get(name)));
    }
    if (!/[?&]X-Amz-Signature=/i.test(request.url ?? "")) return fallback(request, response);
    await send(request, response, jsonErrorResponse(new UnsupportedError("presigned URLs"), "1.1"));
  }

  async #call(
    request: IncomingMessage,
    name: string,
    service: Service | undefined,
  ): Promise<ServiceResponse> {
    const [path = "/", query = ""] = splitTarget(request.url ?? "/");
    const method = request.method ?? "GET";
    try {
      if (!service) throw new UnsupportedError(`the AWS service ${name}`);
      const { caller, signature, body, service: signedFor } = await this.#authenticator.authenticate(request);
      if (signedFor !== name)
        throw new UnsupportedError("an Authorization header with two credential scopes");
      const serviceRequest: ServiceRequest = {
        caller,
        method,
        path,
        query: new URLSearchParams(query),
        headers: request.headers,
        body: body ? Readable.from([body]) : request,
        readBody: async (limitBytes = BODY_LIMIT_BYTES) =>
          body ?? (await readVerified(request, limitBytes, signature.payloadHash)),
        signature,
      };
      return await service.handle(serviceRequest);
    } catch (error) {
      if (!isExpected(error)) this.#options.log(`${name} ${method} ${path} failed`, error);
      return (
        service?.renderError(inDialectOf(service.name, error), { method, path }) ??
        jsonErrorResponse(error, "1.1")
      );
    }
  }
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: ServiceResponse,
): Promise<void> {
  const { status, headers, body } = answer;
  // A body that no one read would block the connection for the next request.
  if (!request.complete) response.setHeader("connection", "close");
  response.writeHead(status, headers);
  if (body instanceof Readable) await pipeline(body, response);
  else response.end(body);
}

/** Errors for callers need no log entry. */
function isExpected(error: unknown): boolean {
  return (
    error instanceof Error && "status" in error && typeof error.status === "number" && error.status < 500
  );
}

/**
 * The service in the credential scope, readable before anything is verified: it chooses how errors are
 * rendered.
 */
function signingName(authorization = ""): string {
  return /Credential=[^/,\s]+\/\d+\/[^/,\s]+\/([^/,\s]+)\//.exec(authorization)?.[1] ?? "unknown";
}

function splitTarget(target: string): string[] {
  const at = target.indexOf("?");
  return at < 0 ? [target] : [target.slice(0, at), target.slice(at + 1)];
}
