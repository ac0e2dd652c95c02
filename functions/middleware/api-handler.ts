import middy from "@middy/core";
import * as z from "zod";
import type { FunctionName } from "#shared/environment.ts";
import { NotFoundError } from "#shared/errors.ts";
import { ResourceId } from "#shared/protocol/ids.ts";
import { type OperationId, type Route, routes } from "#shared/protocol/routes.ts";
import { type Actor, type ApiEvent, actorOf, apiUrlOf, jsonBody } from "./api-event.ts";
import { type ApiResult, jsonResult, normalisedEvent, problemDetails, securityHeaders } from "./http.ts";
import { type Build, lambdaRuntime, lazily, type Runtime } from "./runtime.ts";
import { validate } from "./validate.ts";

export type ApiFunction = Extract<FunctionName, `api/${string}`>;

type Routes = typeof routes;
type Parameters<Path> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Parameters<Rest>
  : never;
type Read<R, K extends string> = R extends Record<K, infer T extends z.ZodType> ? z.output<T> : undefined;

/** One call of an operation: everything in it has been validated. */
export interface Call<O extends OperationId> {
  path: Record<Parameters<Routes[O]["path"]>, string>;
  query: Read<Routes[O], "query">;
  body: Read<Routes[O], "body">;
  actor: Actor;
  /** The caller's `Idempotency-Key`. */
  idempotencyKey: string | undefined;
  apiUrl: string;
  /** The caller's address. */
  address: string;
}
export type Answer<O extends OperationId> = z.input<Routes[O]["response"]>;

/** The operations whose routes name this function. */
type OperationsOf<N extends ApiFunction> = {
  [O in OperationId]: N extends `api/${Routes[O]["handler"]}` ? O : never;
}[OperationId];
export type Operations<N extends ApiFunction, D> = {
  [O in OperationsOf<N>]: (call: Call<O>, deps: D) => Promise<Answer<O>>;
};

const IdempotencyKey = z.string().min(1).max(200).optional();

/**
 * A Lambda function that serves every route of one handler. It identifies the caller, validates requests and
 * answers, and answers errors as problem details.
 */
export function apiHandler<N extends ApiFunction, D>(
  bundle: { name: N; build: Build<N, D>; operations: Operations<N, NoInfer<D>> },
  runtime: Runtime = lambdaRuntime(bundle.name),
) {
  const deps = lazily(bundle.name, bundle.build, runtime);
  // One cast for all: each operation takes the call of its own route, which the lookup by route cannot tell
  // the compiler.
  const operations = bundle.operations as unknown as Record<
    string,
    (call: unknown, deps: D) => Promise<unknown>
  >;
  return middy<unknown, ApiResult>({ timeoutEarlyInMillis: 0 })
    .use(securityHeaders())
    .use(problemDetails(runtime.log))
    .use(normalisedEvent())
    .handler(async (input: unknown): Promise<ApiResult> => {
      const event = input as ApiEvent;
      const { id, route } = routeOf(event);
      const operation = id && operations[id];
      if (!route || !operation) throw new NotFoundError("route", event.routeKey);
      const call = callOf(event, route);
      const answer = await operation(call, deps());
      const body = route.response.parse(answer);
      const { requestId } = event.requestContext;
      runtime.log.info("request", { requestId, operation: id, status: route.status, actor: call.actor });
      return jsonResult(route.status, "application/json", body);
    });
}

function routeOf({ routeKey }: ApiEvent): { id?: string; route?: Route } {
  const all: [string, Route][] = Object.entries(routes);
  const [id, route] = all.find(([, { method, path }]) => `${method} ${path}` === routeKey) ?? [];
  return { ...(id ? { id } : {}), ...(route ? { route } : {}) };
}

function callOf(event: ApiEvent, route: Route): Omit<Call<OperationId>, "query" | "body"> {
  const actor = actorOf(event, route.auth);
  return {
    actor,
    path: validate(z.record(z.string(), ResourceId), event.pathParameters) as Call<OperationId>["path"],
    ...(route.query ? { query: validate(route.query, event.queryStringParameters) } : {}),
    ...(route.body ? { body: validate(route.body, jsonBody(event)) } : {}),
    idempotencyKey: validate(IdempotencyKey, event.headers["idempotency-key"], "Idempotency-Key"),
    apiUrl: apiUrlOf(event),
    address: event.requestContext.http.sourceIp,
  };
}
