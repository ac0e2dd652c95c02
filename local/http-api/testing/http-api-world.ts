import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { CognitoProvider } from "../../cognito/cognito-provider.ts";
import { issuerOf, UserPools } from "../../cognito/user-pools.ts";
import { ACCOUNT_ID, type ProvisionedResource, REGION, type ResourceProvider } from "../../core/service.ts";
import { PolicyEvaluator } from "../../iam/policy-evaluator.ts";
import { LambdaWorld } from "../../lambda/testing/lambda-world.ts";
import { HttpApi, type SignedRequest } from "../http-api.ts";
import { HttpApiProvider } from "../http-api-provider.ts";

type Authenticate = (request: IncomingMessage) => Promise<SignedRequest>;

/** For tests: an HTTP API on a free port in front of real functions and a real user pool. */
export class HttpApiWorld {
  readonly functions: LambdaWorld;
  readonly pools: UserPools;
  readonly server: Server;
  readonly #providers: ResourceProvider[];
  url = "";
  apiId = "";
  userPoolId = "";
  clientId = "";
  authorizerId = "";

  private constructor(functions: LambdaWorld, pools: UserPools, authenticate: Authenticate) {
    this.functions = functions;
    this.pools = pools;
    const httpApi = new HttpApi({
      lambda: functions.lambda,
      authorizer: new PolicyEvaluator(),
      authenticate,
      issuers: pools,
      clock: functions.clock,
      newId: randomUUID,
      log: functions.log,
    });
    this.#providers = [
      functions.provider,
      new CognitoProvider({ pools }),
      new HttpApiProvider({ httpApi, issuers: pools, endpoint: () => this.url }),
    ];
    this.server = createServer((request, response) => void httpApi.handle(request, response));
  }

  static async start(
    options: { api?: object; stage?: object; authenticate?: Authenticate } = {},
  ): Promise<HttpApiWorld> {
    const functions = new LambdaWorld();
    const pools = await UserPools.open({
      keyFile: join(functions.directory, "key.pem"),
      clock: functions.clock,
      newId: randomUUID,
    });
    const refuse: Authenticate = () => Promise.reject(new Error("no signed requests in this test"));
    const world = new HttpApiWorld(functions, pools, options.authenticate ?? refuse);
    world.server.listen(0, "127.0.0.1");
    await once(world.server, "listening");
    world.url = `http://127.0.0.1:${(world.server.address() as AddressInfo).port}`;
    await world.#provisionApi(options);
    return world;
  }

  async #provisionApi({ api = {}, stage = {} }: { api?: object; stage?: object }): Promise<void> {
    this.userPoolId = (await this.provision("AWS::Cognito::UserPool", "Users", {})).ref;
    const client = { UserPoolId: this.userPoolId };
    this.clientId = (await this.provision("AWS::Cognito::UserPoolClient", "Client", client)).ref;
    const properties = { Name: "api", ProtocolType: "HTTP", ...api };
    this.apiId = (await this.provision("AWS::ApiGatewayV2::Api", "Api", properties)).ref;
    await this.provision("AWS::ApiGatewayV2::Stage", "Stage", {
      ApiId: this.apiId,
      StageName: "$default",
      AutoDeploy: true,
      ...stage,
    });
    const authorizer = await this.provision("AWS::ApiGatewayV2::Authorizer", "Authorizer", {
      ApiId: this.apiId,
      Name: "jwt",
      AuthorizerType: "JWT",
      IdentitySource: ["$request.header.Authorization"],
      JwtConfiguration: { Audience: [this.clientId], Issuer: issuerOf(this.userPoolId) },
    });
    this.authorizerId = authorizer.ref;
  }

  /** Adds a function with the given source and an integration for it. Returns the integration's id. */
  async addIntegration(name: string, source: string, properties: object = {}): Promise<string> {
    const arn = await this.functions.addFunction(name, source, { Timeout: 60 });
    await this.provision("AWS::Lambda::Permission", `${name}Permission`, {
      Action: "lambda:InvokeFunction",
      FunctionName: arn,
      Principal: "apigateway.amazonaws.com",
      SourceArn: `arn:aws:execute-api:${REGION}:${ACCOUNT_ID}:${this.apiId}/*/*`,
    });
    const integration = await this.provision("AWS::ApiGatewayV2::Integration", `${name}Integration`, {
      ApiId: this.apiId,
      IntegrationType: "AWS_PROXY",
      IntegrationUri: arn,
      PayloadFormatVersion: "2.0",
      ...properties,
    });
    return integration.ref;
  }

  async addRoute(routeKey: string, integrationId: string, authorization: object = {}): Promise<void> {
    await this.provision("AWS::ApiGatewayV2::Route", `Route ${routeKey}`, {
      ApiId: this.apiId,
      RouteKey: routeKey,
      Target: `integrations/${integrationId}`,
      ...authorization,
    });
  }

  token(lifetimeSeconds = 3600): Promise<string> {
    return this.pools.issueToken({
      userPoolId: this.userPoolId,
      clientId: this.clientId,
      username: "ada",
      lifetimeSeconds,
    });
  }

  provision(type: string, logicalId: string, properties: object): Promise<ProvisionedResource> {
    const provider = this.#providers.find(({ types }) => types.includes(type));
    if (!provider) throw new Error(`no provider for ${type}`);
    const generatedName = `test-${logicalId.toLowerCase()}`;
    return provider.provision({
      type,
      stack: "Test",
      logicalId,
      properties: { ...properties },
      generatedName,
    });
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await this.functions.lambda.close();
  }
}

/** Answers with the event itself. */
export const echo = "export const handler = async (event) => event;";
