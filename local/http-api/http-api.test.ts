import { request as httpRequest } from "node:http";
import { exportPKCS8, generateKeyPair, SignJWT } from "jose";
import { afterEach, expect, test } from "vitest";
import { ACCOUNT_ID, REGION } from "../core/service.ts";
import { echo, HttpApiWorld } from "./testing/http-api-world.ts";

let world: HttpApiWorld;
afterEach(() => world.stop());

test("a request reaches its function as an event of payload format 2.0", async () => {
  world = await HttpApiWorld.start();
  await world.addRoute("POST /sources/{id}/disks/{rest+}", await world.addIntegration("echo", echo));
  const response = await fetch(`${world.url}/sources/a%20b/disks/x/y?tag=1&tag=2&name=%C3%BC+1`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Cookie: "a=1; b=2",
      "X-Thing": "one",
      "User-Agent": "tester",
    },
    body: '{"n":1}',
  });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  const { port, host } = new URL(world.url);
  const now = world.functions.clock.now();
  expect(await response.json()).toEqual({
    version: "2.0",
    routeKey: "POST /sources/{id}/disks/{rest+}",
    rawPath: "/sources/a b/disks/x/y",
    rawQueryString: "tag=1&tag=2&name=%C3%BC+1",
    cookies: ["a=1", "b=2"],
    headers: expect.objectContaining({
      "content-type": "application/json",
      "content-length": "7",
      host,
      "user-agent": "tester",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-port": port,
      "x-forwarded-proto": "http",
      "x-thing": "one",
    }),
    queryStringParameters: { tag: "1,2", name: "ü 1" },
    pathParameters: { id: "a b", rest: "x/y" },
    requestContext: {
      accountId: ACCOUNT_ID,
      apiId: world.apiId,
      domainName: host,
      domainPrefix: "127",
      http: {
        method: "POST",
        path: "/sources/a b/disks/x/y",
        protocol: "HTTP/1.1",
        sourceIp: "127.0.0.1",
        userAgent: "tester",
      },
      requestId: response.headers.get("apigw-requestid"),
      routeKey: "POST /sources/{id}/disks/{rest+}",
      stage: "$default",
      time: "01/Jan/2030:00:00:00 +0000",
      timeEpoch: now,
    },
    body: '{"n":1}',
    isBase64Encoded: false,
  });
});

test("a body that is not text arrives in base64, and an answer in base64 leaves as bytes", async () => {
  world = await HttpApiWorld.start();
  const source = `export const handler = async ({ body, isBase64Encoded }) => ({
    statusCode: isBase64Encoded ? 201 : 400, body, isBase64Encoded: true, cookies: ["s=1; HttpOnly", "t=2"],
    headers: { "Content-Type": "application/octet-stream", "X-Count": 3 } });`;
  await world.addRoute("$default", await world.addIntegration("bytes", source));
  const bytes = Buffer.from([0, 255, 1, 254]);
  const response = await fetch(world.url, { method: "PUT", body: bytes });
  expect(response.status).toBe(201);
  expect(Buffer.from(await response.arrayBuffer())).toEqual(bytes);
  expect(response.headers.getSetCookie()).toEqual(["s=1; HttpOnly", "t=2"]);
  expect(response.headers.get("x-count")).toBe("3");
});

test.each([
  ["throws", "throw new Error('secret')", 500],
  ["answers with a malformed response", "return { statusCode: 'many' }", 500],
  ["answers with a body that is no text", "return { statusCode: 200, body: { a: 1 } }", 500],
  ["crashes", "process.exit(1)", 500],
])("a function that %s gives an error that tells nothing", async (name, statement, status) => {
  world = await HttpApiWorld.start();
  const source = `export const handler = async () => { ${statement} };`;
  await world.addRoute("GET /", await world.addIntegration(name.replaceAll(" ", "-"), source));
  const response = await fetch(world.url);
  expect([response.status, await response.json()]).toEqual([status, { message: "Internal Server Error" }]);
  await world.functions.log.contains("GET /");
});

test("a function without a permission for the API is not invoked", async () => {
  world = await HttpApiWorld.start();
  const arn = await world.functions.addFunction("closed", echo);
  const integration = await world.provision("AWS::ApiGatewayV2::Integration", "Closed", {
    ApiId: world.apiId,
    IntegrationType: "AWS_PROXY",
    IntegrationUri: `arn:aws:apigateway:${REGION}:lambda:path/2015-03-31/functions/${arn}/invocations`,
    PayloadFormatVersion: "2.0",
  });
  await world.addRoute("GET /closed", integration.ref);
  expect((await fetch(`${world.url}/closed`)).status).toBe(500);
  await world.functions.log.contains("not authorized to perform: lambda:InvokeFunction");
});

test("a function that takes too long gives 503, a body that is too large 413, an unknown path 404", async () => {
  world = await HttpApiWorld.start();
  const hanging = `export const handler = async () => { console.log("in"); await new Promise(() => {}); };`;
  await world.addRoute("GET /slow", await world.addIntegration("slow", hanging, { TimeoutInMillis: 5000 }));
  await world.addRoute("POST /big", await world.addIntegration("big", echo));
  const slow = fetch(`${world.url}/slow`);
  await world.functions.log.contains("in");
  await world.functions.clock.advance(5000);
  expect([(await slow).status, await (await slow).json()]).toEqual([503, { message: "Service Unavailable" }]);
  const big = await fetch(`${world.url}/big`, { method: "POST", body: Buffer.alloc(10 * 1024 * 1024 + 1) });
  expect(big.status).toBe(413);
  const unknown = await fetch(`${world.url}/big`);
  expect([unknown.status, await unknown.json()]).toEqual([404, { message: "Not Found" }]);
  expect(await rawStatus(`${world.url}/%zz`)).toBe(400);
});

test("a body without a length is cut off at the limit too", async () => {
  world = await HttpApiWorld.start();
  await world.addRoute("POST /big", await world.addIntegration("big", echo));
  const chunks = Array.from({ length: 11 }, () => new Uint8Array(1024 * 1024));
  const init = { method: "POST", body: ReadableStream.from(chunks), duplex: "half" };
  expect((await fetch(`${world.url}/big`, init as RequestInit)).status).toBe(413);
});

async function protectedRoute(scopes: string[] = []): Promise<string> {
  await world.addRoute("GET /me", await world.addIntegration("me", echo), {
    AuthorizationType: "JWT",
    AuthorizerId: world.authorizerId,
    AuthorizationScopes: scopes,
  });
  return `${world.url}/me`;
}

function bearer(token: string): RequestInit {
  return { headers: { Authorization: `Bearer ${token}` } };
}

test("a good token lets a request in, with its claims as text", async () => {
  world = await HttpApiWorld.start();
  const url = await protectedRoute();
  await world.provision("AWS::Cognito::UserPoolGroup", "Ops", {
    UserPoolId: world.userPoolId,
    GroupName: "ops",
  });
  const { userPoolId, clientId } = world;
  const request = { userPoolId, clientId, username: "ada", groups: ["ops"], lifetimeSeconds: 60 };
  const response = await fetch(url, bearer(await world.pools.issueToken(request)));
  const event = (await response.json()) as { requestContext: { authorizer: object } };
  expect(event.requestContext.authorizer).toEqual({
    jwt: {
      claims: expect.objectContaining({
        client_id: clientId,
        "cognito:groups": "[ops]",
        exp: String(world.functions.clock.now() / 1000 + 60),
        username: "ada",
      }),
      scopes: null,
    },
  });
});

test("scopes that a route asks for are enforced", async () => {
  world = await HttpApiWorld.start();
  const url = await protectedRoute(["api/write", "openid"]);
  const { userPoolId, clientId } = world;
  const request = { userPoolId, clientId, username: "ada", lifetimeSeconds: 60 };
  const without = await fetch(url, bearer(await world.pools.issueToken(request)));
  expect([without.status, await without.json()]).toEqual([403, { message: "Forbidden" }]);
  const withScope = await world.pools.issueToken({ ...request, scopes: ["openid", "email"] });
  const event = (await (await fetch(url, bearer(withScope))).json()) as {
    requestContext: { authorizer: { jwt: { scopes: string[] } } };
  };
  expect(event.requestContext.authorizer.jwt.scopes).toEqual(["openid", "email"]);
});

test("no token, or one that is expired, foreign, forged or unsigned, is refused with 401", async () => {
  world = await HttpApiWorld.start();
  const url = await protectedRoute();
  const good = await world.token(60);
  const [header = "", claims = ""] = good.split(".");
  const decoded = JSON.parse(Buffer.from(claims, "base64url").toString());
  const { kid } = JSON.parse(Buffer.from(header, "base64url").toString());
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const forged = await new SignJWT(decoded).setProtectedHeader({ alg: "RS256", kid }).sign(privateKey);
  const unknownKey = await new SignJWT(decoded)
    .setProtectedHeader({ alg: "RS256", kid: "x" })
    .sign(privateKey);
  const hmac = await new SignJWT(decoded)
    .setProtectedHeader({ alg: "HS256", kid })
    .sign(Buffer.from(await exportPKCS8(privateKey)));
  const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${claims}.`;
  const changed = good.replace(
    claims,
    Buffer.from(JSON.stringify({ ...decoded, username: "eve" })).toString("base64url"),
  );
  const other = await world.provision("AWS::Cognito::UserPool", "Other", {});
  const otherClient = { UserPoolId: other.ref };
  const { ref: clientId } = await world.provision("AWS::Cognito::UserPoolClient", "Other", otherClient);
  const base = { clientId, username: "ada", lifetimeSeconds: 60 };
  const otherIssuer = await world.pools.issueToken({ ...base, userPoolId: other.ref });
  const sibling = { UserPoolId: world.userPoolId };
  const { ref: siblingId } = await world.provision("AWS::Cognito::UserPoolClient", "Sibling", sibling);
  const otherAudience = await world.pools.issueToken({
    ...base,
    userPoolId: world.userPoolId,
    clientId: siblingId,
  });
  for (const token of [
    forged,
    unknownKey,
    hmac,
    unsigned,
    changed,
    otherIssuer,
    otherAudience,
    "x",
    "a.b.c",
  ]) {
    const response = await fetch(url, bearer(token));
    expect([response.status, await response.json()]).toEqual([401, { message: "Unauthorized" }]);
    expect(response.headers.get("www-authenticate")).toContain("invalid_token");
  }
  expect((await fetch(url)).headers.get("www-authenticate")).toBe("Bearer");
  expect((await fetch(url, bearer(good))).status).toBe(200);
  await world.functions.clock.advance(60_000);
  expect((await fetch(url, bearer(good))).status).toBe(401);
});

test("preflight requests are answered by the API itself, and its CORS headers replace those of functions", async () => {
  const cors = {
    AllowOrigins: ["https://console.example"],
    AllowMethods: ["GET", "POST"],
    AllowHeaders: ["authorization"],
    ExposeHeaders: ["x-total"],
    MaxAge: 600,
  };
  world = await HttpApiWorld.start({ api: { CorsConfiguration: cors } });
  const source = `export const handler = async () => ({ statusCode: 200, headers: { "Access-Control-Allow-Origin": "*" } });`;
  await world.addRoute("ANY /{proxy+}", await world.addIntegration("cors", source));
  const preflight = await preflightHeaders(`${world.url}/things`, "https://console.example");
  expect(preflight).toMatchObject({
    status: 204,
    "access-control-allow-origin": "https://console.example",
    "access-control-allow-methods": "GET,POST",
    "access-control-allow-headers": "authorization",
    "access-control-max-age": "600",
  });
  const stranger = await preflightHeaders(`${world.url}/things`, "https://evil.example");
  expect(stranger).not.toHaveProperty("access-control-allow-origin");
  const headers = { origin: "https://console.example" };
  const response = await fetch(`${world.url}/things`, { headers });
  expect(response.headers.get("access-control-allow-origin")).toBe("https://console.example");
  expect(response.headers.get("access-control-expose-headers")).toBe("x-total");
  const evil = await fetch(`${world.url}/things`, { headers: { origin: "https://evil.example" } });
  expect(evil.headers.get("access-control-allow-origin")).toBeNull();
});

test("requests are throttled as the stage says, and each is in the access log", async () => {
  const format = JSON.stringify({
    id: "$context.requestId",
    at: "$context.routeKey $context.status",
    ua: "$context.nothing",
  });
  world = await HttpApiWorld.start({
    stage: {
      DefaultRouteSettings: { ThrottlingBurstLimit: 2, ThrottlingRateLimit: 1 },
      AccessLogSettings: {
        DestinationArn: "arn:aws:logs:local-1:000000000000:log-group:api",
        Format: format,
      },
    },
  });
  await world.addRoute("GET /", await world.addIntegration("quick", echo));
  const statuses: number[] = [];
  for (let n = 0; n < 3; n++) statuses.push((await fetch(world.url)).status);
  await world.functions.clock.advance(1000);
  statuses.push((await fetch(world.url)).status);
  expect(statuses).toEqual([200, 200, 429, 200]);
  const lines = world.functions.log.lines.filter(({ source }) => source === "http-api-access");
  expect(lines.map(({ line }) => JSON.parse(String(line.message)))).toEqual(
    statuses.map((status) => ({ id: expect.any(String), at: `GET / ${status}`, ua: "-" })),
  );
});

test("an API with features that the embedded cloud lacks is refused at the start", async () => {
  world = await HttpApiWorld.start();
  const api = (properties: object) => world.provision("AWS::ApiGatewayV2::Api", "Second", properties);
  await expect(api({ Name: "b", ProtocolType: "HTTP" })).rejects.toThrow("more than one HTTP API");
  await expect(api({ Name: "b", ProtocolType: "WEBSOCKET" })).rejects.toThrow("ProtocolType");
  const authorizer = {
    ApiId: world.apiId,
    Name: "other",
    AuthorizerType: "JWT",
    JwtConfiguration: { Audience: ["x"], Issuer: "https://elsewhere.example" },
  };
  await expect(world.provision("AWS::ApiGatewayV2::Authorizer", "Foreign", authorizer)).rejects.toThrow(
    "issuer",
  );
  const integration = await world.addIntegration("twice", echo);
  await world.addRoute("GET /twice", integration);
  await expect(
    world.provision("AWS::ApiGatewayV2::Route", "Again", {
      ApiId: world.apiId,
      RouteKey: "GET /twice",
      Target: `integrations/${integration}`,
    }),
  ).rejects.toMatchObject({ code: "ConflictException" });
});

/** fetch() cannot set a preflight request's headers. */
function preflightHeaders(url: string, origin: string): Promise<Record<string, unknown>> {
  const headers = { origin, "access-control-request-method": "POST" };
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method: "OPTIONS", headers }, (response) => {
      response.resume();
      resolve({ status: response.statusCode, ...response.headers });
    });
    request.on("error", reject).end();
  });
}

/** fetch() repairs malformed paths. */
function rawStatus(url: string): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  const path = url.slice(new URL(url).origin.length);
  return new Promise((resolve, reject) => {
    httpRequest({ hostname, port, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}
