import { AccessLogFormat } from "aws-cdk-lib/aws-apigateway";
import {
  CorsHttpMethod,
  HttpApi,
  HttpMethod,
  HttpNoneAuthorizer,
  HttpStage,
  type IHttpRouteAuthorizer,
  LogGroupLogDestination,
} from "aws-cdk-lib/aws-apigatewayv2";
import { HttpIamAuthorizer, HttpUserPoolAuthorizer } from "aws-cdk-lib/aws-apigatewayv2-authorizers";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import type { IUserPool, IUserPoolClient } from "aws-cdk-lib/aws-cognito";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { type Route, type RouteAuth, routes } from "#shared/protocol/routes.ts";
import type { HandlerFunction } from "./handler-function.ts";

/**
 * One line for each request: the caller, the request and the answer. The caller is a user (`sub`) or the
 * session of an agent's certificate (`principal`); the other field is `-`
 * (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html).
 */
const ACCESS_LOG = {
  requestId: "$context.requestId",
  time: "$context.requestTime",
  ip: "$context.identity.sourceIp",
  routeKey: "$context.routeKey",
  path: "$context.path",
  status: "$context.status",
  error: "$context.error.message",
  authorizerError: "$context.authorizer.error",
  integrationError: "$context.integrationErrorMessage",
  sub: "$context.authorizer.claims.sub",
  principal: "$context.identity.userArn",
  latencyMs: "$context.responseLatency",
};

export interface RouteTableProps {
  userPool: IUserPool;
  userPoolClient: IUserPoolClient;
  /** By the name that routes give: `functions/api/<handler>.ts`. */
  handlers: Record<string, HandlerFunction>;
}

/**
 * The HTTP API: exactly the routes of `shared/protocol/routes.ts`, each with its authorization.
 */
export class RouteTable extends Construct {
  readonly api: HttpApi;

  constructor(scope: Construct, id: string, props: RouteTableProps) {
    super(scope, id);
    this.api = new HttpApi(this, "Api", {
      description: "Causeway",
      createDefaultStage: false,
      corsPreflight: {
        allowOrigins: ["*"],
        allowHeaders: ["authorization", "content-type", "idempotency-key"],
        allowMethods: [CorsHttpMethod.GET, CorsHttpMethod.POST, CorsHttpMethod.PATCH, CorsHttpMethod.DELETE],
      },
    });
    new HttpStage(this, "Stage", {
      httpApi: this.api,
      stageName: "$default",
      autoDeploy: true,
      throttle: { rateLimit: 100, burstLimit: 200 },
      accessLogSettings: {
        destination: new LogGroupLogDestination(
          new LogGroup(this, "AccessLog", { retention: RetentionDays.THREE_MONTHS }),
        ),
        format: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
      },
    });

    const authorizers: Record<RouteAuth, IHttpRouteAuthorizer> = {
      user: new HttpUserPoolAuthorizer("Users", props.userPool, { userPoolClients: [props.userPoolClient] }),
      agent: new HttpIamAuthorizer(),
      none: new HttpNoneAuthorizer(),
    };
    const integrations = new Map(
      Object.entries(props.handlers).map(([name, handler]) => [
        name,
        new HttpLambdaIntegration(name, handler.function),
      ]),
    );
    for (const route of Object.values<Route>(routes)) {
      const integration = integrations.get(route.handler);
      if (!integration) throw new Error(`no function serves ${route.method} ${route.path}: ${route.handler}`);
      this.api.addRoutes({
        path: route.path,
        methods: [HttpMethod[route.method]],
        integration,
        authorizer: authorizers[route.auth],
      });
    }
  }
}
