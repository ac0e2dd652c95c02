import { ACCOUNT_ID, REGION } from "../core/service.ts";

/** An HTTP API with everything that its template declares for it. */
export interface HttpApiDefinition {
  id: string;
  cors?: CorsConfiguration;
  stage?: Stage;
  integrations: Map<string, Integration>;
  authorizers: Map<string, JwtAuthorizer>;
  routes: Map<string, Route>;
}

export interface CorsConfiguration {
  allowCredentials: boolean;
  allowHeaders: string[];
  allowMethods: string[];
  allowOrigins: string[];
  exposeHeaders: string[];
  maxAgeSeconds?: number;
}

export interface Stage {
  name: "$default";
  /** Text with `$context` variables. */
  accessLogFormat?: string;
  throttling?: { burst: number; perSecond: number };
}

export interface Integration {
  functionArn: string;
  timeoutMs: number;
}

export interface JwtAuthorizer {
  issuer: string;
  audience: string[];
  /** The header that carries the token, in lower case. */
  header: string;
}

export interface Route {
  /** `GET /sources/{id}`, `ANY /{proxy+}` or `$default`. */
  key: string;
  method: string;
  /** Empty for `$default`. */
  path: string;
  integrationId: string;
  authorization:
    | { type: "NONE" }
    | { type: "AWS_IAM" }
    | { type: "JWT"; authorizerId: string; scopes: string[] };
}

/**
 * The ARN of a call in policies: with the route's path for permissions, with the request's path for
 * identities.
 */
export function executeApiArn(apiId: string, stage: string, method: string, path: string): string {
  return `arn:aws:execute-api:${REGION}:${ACCOUNT_ID}:${apiId}/${stage}/${method}${path}`;
}
