/** The typed client of the API: one method for each operation of the route table. */
import type * as z from "zod";
import { CausewayError, InvalidInputError } from "../errors.ts";
import { ResourceId } from "./ids.ts";
import { Problem } from "./resources.ts";
import { type OperationId, type Route, routes } from "./routes.ts";

type Routes = typeof routes;
type Parameters<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? { [K in Name]: string } & Parameters<Rest>
  : unknown;
type Request<R> = (R extends { path: `${string}{${string}` }
  ? { parameters: R extends { path: infer P extends string } ? Parameters<P> : never }
  : unknown) &
  (R extends { query: infer Q extends z.ZodType } ? { query?: Partial<z.input<Q>> } : unknown) &
  (R extends { body: infer B extends z.ZodType } ? { body: z.input<B>; idempotencyKey?: string } : unknown);

export type ApiClient = {
  [Id in OperationId]: (request: Request<Routes[Id]>) => Promise<z.infer<Routes[Id]["response"]>>;
};

/** The API answered with an error; `failure` says which. */
export class ApiError extends CausewayError {
  override readonly name = "ApiError";
  readonly retryable: boolean;
  readonly hint: string;
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
    this.hint = problem.hint;
    this.retryable = problem.status >= 500 || problem.status === 429;
  }
}

/** The API could not be reached, or another program answered. */
export class ApiUnreachableError extends CausewayError {
  override readonly name = "ApiUnreachableError";
  readonly retryable = true;
  readonly hint =
    "Check the URL, and that the control plane is running: `causeway up` starts the embedded one.";
}

export interface ApiClientOptions {
  url: string;
  /** Returns the request's headers with authentication. Called before each request. */
  authorize?: (request: {
    method: string;
    url: URL;
    headers: Record<string, string>;
    body: string | undefined;
  }) => Promise<Record<string, string>>;
  fetch?: typeof fetch;
}

/** A client of the API at `url`. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const entries = Object.entries<Route>(routes).map(([id, route]) => [
    id,
    (request: AnyRequest) => call(options, route, request),
  ]);
  return Object.fromEntries(entries) as ApiClient;
}

interface AnyRequest {
  parameters?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
  idempotencyKey?: string;
}

async function call(options: ApiClientOptions, route: Route, request: AnyRequest): Promise<unknown> {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    checkedId(name, request.parameters?.[name]),
  );
  const url = new URL(options.url.replace(/\/+$/, "") + path);
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (request.idempotencyKey) headers["idempotency-key"] = request.idempotencyKey;
  const authorized = options.authorize
    ? await options.authorize({ method: route.method, url, headers, body })
    : headers;

  let response: Response;
  try {
    response = await (options.fetch ?? fetch)(url, {
      method: route.method,
      headers: authorized,
      ...(body === undefined ? {} : { body }),
    });
  } catch (error) {
    throw new ApiUnreachableError(`cannot reach ${url.origin}: ${reasonOf(error)}`, { cause: error });
  }
  return read(route, response);
}

/** Checks an id in a path, because `..` would lead to another route. */
function checkedId(name: string, value: string | undefined): string {
  const id = ResourceId.safeParse(value);
  if (!id.success) throw new InvalidInputError([{ path: name, message: id.error.issues[0]?.message ?? "" }]);
  return id.data;
}

async function read(route: Route, response: Response): Promise<unknown> {
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ApiUnreachableError(`${response.url} answered ${response.status} without JSON`, {
      cause: error,
    });
  }
  if (response.ok) return route.response.parse(json);
  const problem = Problem.safeParse(json);
  throw new ApiError(problem.success ? problem.data : problemOf(response.status, json));
}

/** API Gateway's own refusals have only a message. */
function problemOf(status: number, json: unknown): Problem {
  const message = (json as { message?: string } | null)?.message ?? "no reason given";
  const hint =
    status === 401
      ? "The token is missing, wrong or expired: `causeway up` prints a new one at each start."
      : "Check the control plane's log.";
  return { type: "about:blank", title: message, status, detail: message, name: `Http${status}`, hint };
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? cause.message : String(error);
}
