import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { AwsError } from "../core/aws-error.ts";
import type { Authorizer, Clock, LambdaInvoker, LambdaResult, SessionCaller } from "../core/service.ts";
import type { LogSink } from "../lambda/log-sink.ts";
import { formatAccess } from "./access-log.ts";
import {
  executeApiArn,
  type HttpApiDefinition,
  type Integration,
  type Route,
  type Stage,
} from "./api-model.ts";
import { corsHeaders, preflightAnswer } from "./cors.ts";
import { type Issuers, verifyToken } from "./jwt-verifier.ts";
import { type Identity, lambdaEvent, parseTarget, type RequestTarget } from "./lambda-event.ts";
import { type HttpAnswer, messageAnswer, proxyAnswer } from "./proxy-response.ts";
import { matchRoute, type RouteMatch } from "./route-matcher.ts";
import { Throttle } from "./throttle.ts";

export interface HttpApiOptions {
  lambda: LambdaInvoker;
  authorizer: Authorizer;
  /** Verifies a SigV4 request, as the gateway does; throws `AwsError`. */
  authenticate(request: IncomingMessage): Promise<SignedRequest>;
  issuers: Issuers;
  clock: Clock;
  /** A new UUID. */
  newId: () => string;
  log: LogSink;
}

export interface SignedRequest {
  caller: SessionCaller;
  /** The SigV4 signing name. */
  service: string;
  /** The body, if it had to be read; otherwise it must have the signed hash. */
  body?: Buffer;
  signature: { payloadHash: string };
}

/** Ends a request with API Gateway's own answer. */
class Refusal extends Error {
  override readonly name = "Refusal";
  readonly answer: HttpAnswer;

  constructor(answer: HttpAnswer, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.answer = answer;
  }
}

/** One request while it is being handled. The access log records what is known about it by the end. */
interface Exchange {
  request: IncomingMessage;
  requestId: string;
  receivedAt: number;
  target?: RequestTarget;
  match?: RouteMatch;
  identity?: Identity | undefined;
  body?: Buffer | undefined;
  failure?: string;
}

const BODY_LIMIT_BYTES = 10 * 1024 * 1024;

/** Serves the one HTTP API of the embedded cloud, its `$default` stage, at the root path. */
export class HttpApi {
  readonly #options: HttpApiOptions;
  #api: HttpApiDefinition | undefined;
  #throttle: Throttle | undefined;

  constructor(options: HttpApiOptions) {
    this.#options = options;
  }

  /** Serves this API instead of the previous one. */
  serve(api: HttpApiDefinition): void {
    this.#api = api;
    this.applyStage(api.stage);
  }

  applyStage(stage: Stage | undefined): void {
    this.#throttle = stage?.throttling && new Throttle(stage.throttling, this.#options.clock.now());
  }

  /** Answers a request; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, newId } = this.#options;
    const api = this.#api;
    const exchange: Exchange = { request, requestId: newId(), receivedAt: clock.now() };
    const answer = api ? await this.#answer(api, exchange) : messageAnswer(404, "Not Found");
    answer.headers["apigw-requestid"] = exchange.requestId;
    send(request, response, answer);
    if (api) this.#logAccess(api, exchange, answer);
  }

  async #answer(api: HttpApiDefinition, exchange: Exchange): Promise<HttpAnswer> {
    try {
      const preflight = api.cors && preflightAnswer(api.cors, exchange.request);
      return preflight ?? withCors(api, exchange.request, await this.#route(api, exchange));
    } catch (error) {
      exchange.failure = error instanceof Error ? error.message : String(error);
      const refused = error instanceof Refusal ? error.answer : messageAnswer(500, "Internal Server Error");
      if (refused.status >= 500) this.#logFailure(exchange, error);
      return withCors(api, exchange.request, refused);
    }
  }

  async #route(api: HttpApiDefinition, exchange: Exchange): Promise<HttpAnswer> {
    const { request } = exchange;
    const target = parseTarget(request.url ?? "/");
    if (!target) throw new Refusal(messageAnswer(400, "Bad Request"), "malformed path");
    exchange.target = target;
    const match = api.stage && matchRoute(api.routes.values(), request.method ?? "GET", target.rawPath);
    if (!match) throw new Refusal(messageAnswer(404, "Not Found"), "no route");
    exchange.match = match;
    if (this.#throttle && !this.#throttle.admit(exchange.receivedAt)) {
      throw new Refusal(messageAnswer(429, "Too Many Requests"), "throttled");
    }
    exchange.identity = await this.#identify(api, match.route, exchange);
    const body = exchange.body ?? (await readBody(request));
    if (body.length > BODY_LIMIT_BYTES) throw tooLarge();
    const integration = api.integrations.get(match.route.integrationId);
    if (!integration) throw new Error(`route ${match.route.key} has no integration`);
    const event = lambdaEvent({
      ...exchange,
      target,
      match,
      body,
      identity: exchange.identity,
      apiId: api.id,
      stage: "$default",
    });
    return this.#invoke(api, match.route, integration, event);
  }

  async #identify(api: HttpApiDefinition, route: Route, exchange: Exchange): Promise<Identity | undefined> {
    const { authorization } = route;
    if (authorization.type === "NONE") return undefined;
    if (authorization.type === "AWS_IAM") return this.#identifySigned(api, exchange);
    const authorizer = api.authorizers.get(authorization.authorizerId);
    if (!authorizer) throw new Error(`route ${route.key} has no authorizer`);
    const values = exchange.request.headersDistinct[authorizer.header];
    const verdict = await verifyToken(values?.length === 1 ? values[0] : undefined, {
      authorizer,
      requiredScopes: authorization.scopes,
      issuers: this.#options.issuers,
      now: exchange.receivedAt,
    });
    if (!("refused" in verdict)) return { jwt: verdict };
    const headers = { "www-authenticate": verdict.challenge };
    throw verdict.refused === "forbidden"
      ? new Refusal(messageAnswer(403, "Forbidden", headers), verdict.reason)
      : new Refusal(messageAnswer(401, "Unauthorized", headers), verdict.reason);
  }

  async #identifySigned(api: HttpApiDefinition, exchange: Exchange): Promise<Identity> {
    const { request, target } = exchange;
    const arn = executeApiArn(api.id, "$default", request.method ?? "GET", target?.rawPath ?? "/");
    try {
      const signed = await this.#options.authenticate(request);
      if (signed.service !== "execute-api") {
        throw new AwsError("InvalidSignatureException", `signed for ${signed.service}, not execute-api`, 403);
      }
      exchange.body = signed.body ?? (await readBody(request));
      if (sha256(exchange.body) !== signed.signature.payloadHash) {
        throw new AwsError("InvalidSignatureException", "the body is not the one that was signed", 403);
      }
      // From here on the access log knows the caller, even if the call is refused.
      exchange.identity = { iam: { caller: signed.caller, accessKey: accessKeyOf(request) } };
      this.#options.authorizer.authorize(signed.caller, { action: "execute-api:Invoke", resource: arn });
      return exchange.identity;
    } catch (error) {
      if (!(error instanceof AwsError) || error.status >= 500) throw error;
      throw new Refusal(messageAnswer(403, "Forbidden"), error.message, { cause: error });
    }
  }

  async #invoke(
    api: HttpApiDefinition,
    route: Route,
    integration: Integration,
    event: Record<string, unknown>,
  ): Promise<HttpAnswer> {
    const result = await this.#withinTime(
      integration,
      this.#options.lambda.invoke({
        functionArn: integration.functionArn,
        payload: event,
        caller: {
          kind: "service",
          service: "apigateway.amazonaws.com",
          sourceArn: executeApiArn(api.id, "$default", route.method, route.path),
        },
      }),
    );
    const answer = result.functionError ? undefined : proxyAnswer(result.payload);
    if (answer) return answer;
    const reason = result.functionError ? "the function failed" : "the function's response is malformed";
    throw new Refusal(
      messageAnswer(500, "Internal Server Error"),
      `${reason}: ${JSON.stringify(result.payload)}`,
    );
  }

  /** Waits for the answer until the timeout. After that the function continues, but its answer is ignored. */
  async #withinTime({ timeoutMs }: Integration, invocation: Promise<LambdaResult>): Promise<LambdaResult> {
    const late = Promise.withResolvers<never>();
    const timer = this.#options.clock.schedule(timeoutMs, () =>
      late.reject(new Refusal(messageAnswer(503, "Service Unavailable"), "the integration timed out")),
    );
    try {
      return await Promise.race([invocation, late.promise]);
    } catch (error) {
      if (error instanceof AwsError && error.status === 429) {
        throw new Refusal(messageAnswer(503, "Service Unavailable"), error.message, { cause: error });
      }
      if (error instanceof AwsError && error.status === 413) throw tooLarge();
      throw error;
    } finally {
      timer.cancel();
    }
  }

  #logAccess(api: HttpApiDefinition, exchange: Exchange, answer: HttpAnswer): void {
    if (!api.stage?.accessLogFormat) return;
    const message = formatAccess(api.stage.accessLogFormat, api, {
      request: exchange.request,
      requestId: exchange.requestId,
      receivedAt: exchange.receivedAt,
      answeredAt: this.#options.clock.now(),
      path: exchange.target?.rawPath ?? exchange.request.url ?? "",
      routeKey: exchange.match?.route.key ?? "-",
      identity: exchange.identity,
      failure: exchange.failure,
      answer,
    });
    this.#options.log.write("http-api-access", { level: "INFO", message });
  }

  #logFailure({ request, requestId }: Exchange, error: unknown): void {
    const message = { request: `${request.method} ${request.url}`, error: String(error) };
    this.#options.log.write("http-api", { level: "ERROR", requestId, message });
  }
}

/** If CORS is configured, the function's own CORS headers are ignored. */
function withCors({ cors }: HttpApiDefinition, request: IncomingMessage, answer: HttpAnswer): HttpAnswer {
  if (!cors) return answer;
  const own = Object.entries(answer.headers).filter(([name]) => !name.startsWith("access-control-"));
  return { ...answer, headers: { ...Object.fromEntries(own), ...corsHeaders(cors, request) } };
}

function tooLarge(): Refusal {
  return new Refusal(messageAnswer(413, "Request Entity Too Large"), `longer than ${BODY_LIMIT_BYTES} bytes`);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > BODY_LIMIT_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  // Leaving the loop must not destroy the connection, because the answer is still to be sent on it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_LIMIT_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer): void {
  // Discard the rest of a refused body: a client that is still sending would not read the answer.
  request.resume();
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
  if (answer.cookies.length > 0) response.setHeader("set-cookie", answer.cookies);
  response.setHeader("content-length", answer.body.length);
  response.writeHead(answer.status);
  response.end(request.method === "HEAD" ? undefined : answer.body);
}

function accessKeyOf(request: IncomingMessage): string {
  return /Credential=([^/,\s]+)\//.exec(request.headers.authorization ?? "")?.[1] ?? "";
}

function sha256(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}
