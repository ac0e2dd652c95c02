import { createHash } from "node:crypto";
import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import { booleanProperty, numberProperty, parseProperties } from "../core/resource-properties.ts";
import type { ProvisionedResource, Resource, ResourceProvider } from "../core/service.ts";
import type { HttpApiDefinition, Route } from "./api-model.ts";
import type { HttpApi } from "./http-api.ts";
import type { Issuers } from "./jwt-verifier.ts";

const Tags = z.record(z.string(), z.string());
const Cors = z.strictObject({
  AllowCredentials: booleanProperty.default(false),
  AllowHeaders: z.array(z.string()).default([]),
  AllowMethods: z.array(z.string()).default([]),
  AllowOrigins: z.array(z.string()).default([]),
  ExposeHeaders: z.array(z.string()).default([]),
  MaxAge: numberProperty.optional(),
});
const ApiProperties = z.strictObject({
  Name: z.string(),
  ProtocolType: z.literal("HTTP"),
  CorsConfiguration: Cors.optional(),
  Description: z.string().optional(),
  // This endpoint is the only way to reach the API, so it cannot be disabled.
  DisableExecuteApiEndpoint: booleanProperty.pipe(z.literal(false)).optional(),
  Tags: Tags.optional(),
});
const StageProperties = z.strictObject({
  ApiId: z.string(),
  StageName: z.literal("$default"),
  AutoDeploy: booleanProperty.pipe(z.literal(true)),
  AccessLogSettings: z.strictObject({ DestinationArn: z.string(), Format: z.string() }).optional(),
  DefaultRouteSettings: z
    .strictObject({
      DetailedMetricsEnabled: booleanProperty.optional(),
      ThrottlingBurstLimit: numberProperty.optional(),
      ThrottlingRateLimit: numberProperty.optional(),
    })
    .optional(),
  Description: z.string().optional(),
  Tags: Tags.optional(),
});
const IntegrationProperties = z.strictObject({
  ApiId: z.string(),
  IntegrationType: z.literal("AWS_PROXY"),
  IntegrationUri: z.string(),
  PayloadFormatVersion: z.literal("2.0"),
  IntegrationMethod: z.literal("POST").optional(),
  ConnectionType: z.literal("INTERNET").optional(),
  Description: z.string().optional(),
  TimeoutInMillis: numberProperty.pipe(z.int().min(50).max(30_000)).default(30_000),
});
const RouteProperties = z.strictObject({
  ApiId: z.string(),
  RouteKey: z.string(),
  Target: z.string(),
  AuthorizationType: z.enum(["NONE", "JWT", "AWS_IAM"]).default("NONE"),
  AuthorizerId: z.string().optional(),
  AuthorizationScopes: z.array(z.string()).default([]),
  OperationName: z.string().optional(),
});
const AuthorizerProperties = z.strictObject({
  ApiId: z.string(),
  AuthorizerType: z.literal("JWT"),
  Name: z.string(),
  IdentitySource: z.tuple([z.string()]).default(["$request.header.Authorization"]),
  JwtConfiguration: z.strictObject({ Audience: z.array(z.string()).min(1), Issuer: z.string() }),
});

export interface HttpApiProviderOptions {
  httpApi: HttpApi;
  issuers: Issuers;
  /** Where the API can be reached, without a slash at the end. */
  endpoint: () => string;
}

/** HTTP APIs with Lambda integrations. The embedded cloud serves one API. */
export class HttpApiProvider implements ResourceProvider {
  readonly types = [
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Authorizer",
  ] as const;
  readonly #options: HttpApiProviderOptions;
  #api: HttpApiDefinition | undefined;

  constructor(options: HttpApiProviderOptions) {
    this.#options = options;
  }

  async provision(resource: Resource): Promise<ProvisionedResource> {
    switch (resource.type) {
      case "AWS::ApiGatewayV2::Api":
        return this.#provisionApi(resource);
      case "AWS::ApiGatewayV2::Stage":
        return this.#provisionStage(resource);
      case "AWS::ApiGatewayV2::Integration":
        return this.#provisionIntegration(resource);
      case "AWS::ApiGatewayV2::Route":
        return this.#provisionRoute(resource);
      case "AWS::ApiGatewayV2::Authorizer":
        return this.#provisionAuthorizer(resource);
      default:
        throw new UnsupportedError(resource.type);
    }
  }

  #provisionApi(resource: Resource): ProvisionedResource {
    const { CorsConfiguration: cors } = parseProperties(resource, ApiProperties);
    const id = stableId(resource);
    if (this.#api && this.#api.id !== id) throw new UnsupportedError("more than one HTTP API");
    this.#api = {
      id,
      integrations: new Map(),
      authorizers: new Map(),
      routes: new Map(),
      ...(cors && {
        cors: {
          allowCredentials: cors.AllowCredentials,
          allowHeaders: cors.AllowHeaders,
          allowMethods: cors.AllowMethods,
          allowOrigins: cors.AllowOrigins,
          exposeHeaders: cors.ExposeHeaders,
          ...(cors.MaxAge !== undefined && { maxAgeSeconds: cors.MaxAge }),
        },
      }),
    };
    this.#options.httpApi.serve(this.#api);
    return { ref: id, attributes: { ApiId: id, ApiEndpoint: this.#options.endpoint() } };
  }

  #provisionStage(resource: Resource): ProvisionedResource {
    const { ApiId, AccessLogSettings, DefaultRouteSettings } = parseProperties(resource, StageProperties);
    const { ThrottlingBurstLimit: burst, ThrottlingRateLimit: perSecond } = DefaultRouteSettings ?? {};
    const api = this.#find(ApiId);
    api.stage = {
      name: "$default",
      ...(AccessLogSettings && { accessLogFormat: AccessLogSettings.Format }),
      ...(burst !== undefined && perSecond !== undefined && { throttling: { burst, perSecond } }),
    };
    this.#options.httpApi.applyStage(api.stage);
    return { ref: "$default", attributes: {} };
  }

  #provisionIntegration(resource: Resource): ProvisionedResource {
    const { ApiId, IntegrationUri, TimeoutInMillis } = parseProperties(resource, IntegrationProperties);
    const id = stableId(resource);
    this.#find(ApiId).integrations.set(id, {
      functionArn: functionArnOf(IntegrationUri),
      timeoutMs: TimeoutInMillis,
    });
    return { ref: id, attributes: { IntegrationId: id } };
  }

  #provisionRoute(resource: Resource): ProvisionedResource {
    const { ApiId, RouteKey, Target, ...properties } = parseProperties(resource, RouteProperties);
    const api = this.#find(ApiId);
    const integrationId = Target.replace(/^integrations\//, "");
    if (!api.integrations.has(integrationId)) throw notFound(`Integration ${integrationId}`);
    if ([...api.routes.values()].some(({ key }) => key === RouteKey)) {
      throw new AwsError("ConflictException", `Route with key ${RouteKey} already exists for this API`, 409);
    }
    const id = stableId(resource);
    const authorization = authorizationOf(api, properties);
    api.routes.set(id, { ...parseRouteKey(RouteKey), integrationId, authorization });
    return { ref: id, attributes: { RouteId: id } };
  }

  #provisionAuthorizer(resource: Resource): ProvisionedResource {
    const { ApiId, IdentitySource, JwtConfiguration } = parseProperties(resource, AuthorizerProperties);
    const [source] = IdentitySource;
    const header = /^\$request\.header\.([\w-]+)$/.exec(source)?.[1];
    if (!header) throw new UnsupportedError(`the identity source ${source}`);
    const { Issuer: issuer, Audience: audience } = JwtConfiguration;
    if (!this.#options.issuers.hasIssuer(issuer)) throw new UnsupportedError(`the token issuer ${issuer}`);
    const id = stableId(resource);
    this.#find(ApiId).authorizers.set(id, { issuer, audience, header: header.toLowerCase() });
    return { ref: id, attributes: { AuthorizerId: id } };
  }

  #find(apiId: string): HttpApiDefinition {
    if (this.#api?.id !== apiId) throw notFound(`API ${apiId}`);
    return this.#api;
  }
}

function authorizationOf(
  api: HttpApiDefinition,
  properties: { AuthorizationType: string; AuthorizerId?: string | undefined; AuthorizationScopes: string[] },
): Route["authorization"] {
  const { AuthorizationType: type, AuthorizerId: authorizerId, AuthorizationScopes: scopes } = properties;
  if (type !== "JWT") return type === "AWS_IAM" ? { type } : { type: "NONE" };
  if (authorizerId === undefined || !api.authorizers.has(authorizerId)) {
    throw notFound(`Authorizer ${authorizerId}`);
  }
  return { type, authorizerId, scopes };
}

function parseRouteKey(key: string): Pick<Route, "key" | "method" | "path"> {
  if (key === "$default") return { key, method: "$default", path: "" };
  const [, method, path] = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|ANY) (\/\S*)$/.exec(key) ?? [];
  if (!method || !path) throw new UnsupportedError(`the route key ${key}`);
  return { key, method, path };
}

/** The function's ARN, given as such or as `arn:…:apigateway:…:path/…/functions/<arn>/invocations`. */
function functionArnOf(uri: string): string {
  return /^arn:[^:]+:apigateway:.*\/functions\/(.+)\/invocations$/.exec(uri)?.[1] ?? uri;
}

function notFound(what: string): AwsError {
  return new AwsError("NotFoundException", `${what} does not exist`, 404);
}

/** Ten lower-case letters and digits, as in API Gateway's ids. */
function stableId({ stack, logicalId }: Resource): string {
  const digest = createHash("sha256").update(`${stack}/${logicalId}`).digest("hex");
  return BigInt(`0x${digest}`).toString(36).slice(-10);
}
