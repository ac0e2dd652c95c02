import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import { expect, test } from "vitest";
import { ManualClock } from "../core/clock.ts";
import type { ProvisionedResource } from "../core/service.ts";
import { CognitoProvider } from "./cognito-provider.ts";
import { UserPools } from "./user-pools.ts";

const clock = new ManualClock();
const lifetimeSeconds = 3600;

async function start(directory = mkdtempSync(join(tmpdir(), "cognito-"))) {
  const keyFile = join(directory, "cognito", "signing-key.pem");
  const pools = await UserPools.open({ keyFile, clock, newId: randomUUID });
  const provider = new CognitoProvider({ pools });
  const provision = (type: string, logicalId: string, properties: object): Promise<ProvisionedResource> =>
    provider.provision({
      type: `AWS::Cognito::${type}`,
      stack: "Api",
      logicalId,
      properties: { ...properties },
      generatedName: logicalId.toLowerCase(),
    });
  const { ref: userPoolId } = await provision("UserPool", "Users", {
    UserPoolName: "users",
    UserPoolTier: "LITE",
  });
  const { ref: clientId } = await provision("UserPoolClient", "Cli", {
    UserPoolId: userPoolId,
    GenerateSecret: false,
  });
  await provision("UserPoolGroup", "Operators", { UserPoolId: userPoolId, GroupName: "operators" });
  await provision("UserPoolResourceServer", "Server", {
    UserPoolId: userPoolId,
    Identifier: "api",
    Name: "api",
    Scopes: [{ ScopeName: "write", ScopeDescription: "change things" }],
  });
  return { directory, keyFile, pools, provision, userPoolId, clientId };
}

test("a token is verified with the published key set and has the claims of an access token", async () => {
  const { pools, userPoolId, clientId } = await start();
  const server = createServer((request, response) => {
    if (!pools.handle(request, response)) response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${userPoolId}/.well-known`;
  const keys = (await (await fetch(`${base}/jwks.json`)).json()) as JSONWebKeySet;
  const discovery = await (await fetch(`${base}/openid-configuration`)).json();
  expect((await fetch(base.replace(userPoolId, "local-1_other").concat("/jwks.json"))).status).toBe(404);
  server.close();
  const token = await pools.issueToken({
    userPoolId,
    clientId,
    username: "ada",
    groups: ["operators"],
    scopes: ["api/write"],
    lifetimeSeconds,
  });
  const { payload } = await jwtVerify(token, createLocalJWKSet(keys), { currentDate: new Date(clock.now()) });
  expect(discovery).toMatchObject({ issuer: payload.iss, jwks_uri: `${payload.iss}/.well-known/jwks.json` });
  expect(payload).toMatchObject({
    iss: `https://cognito-idp.local-1.amazonaws.com/${userPoolId}`,
    client_id: clientId,
    token_use: "access",
    username: "ada",
    "cognito:groups": ["operators"],
    scope: "api/write",
    sub: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
    iat: clock.now() / 1000,
    exp: clock.now() / 1000 + lifetimeSeconds,
    jti: expect.any(String),
  });
});

test("key, pool and client are the same after a restart, and only the owner can read the key", async () => {
  const first = await start();
  const second = await start(first.directory);
  expect([second.userPoolId, second.clientId]).toEqual([first.userPoolId, first.clientId]);
  expect(first.userPoolId).toMatch(/^local-1_[0-9a-z]{9}$/);
  expect(first.clientId).toMatch(/^[0-9a-z]{26}$/);
  expect(statSync(first.keyFile).mode & 0o777).toBe(0o600);
  const request = { ...first, username: "ada", lifetimeSeconds };
  const tokens = [await first.pools.issueToken(request), await second.pools.issueToken(request)];
  const [one, two] = tokens.map((token) => decodeProtectedHeader(token).kid);
  expect(one).toBe(two);
});

test.each([
  ["a pool", { userPoolId: "local-1_missing" }],
  ["a client", { clientId: "missing" }],
  ["a group", { groups: ["missing"] }],
  ["a scope", { scopes: ["api/missing"] }],
])("no token is issued for %s that does not exist", async (_what, override) => {
  const { pools, userPoolId, clientId } = await start();
  const request = { userPoolId, clientId, username: "ada", lifetimeSeconds, ...override };
  await expect(pools.issueToken(request)).rejects.toMatchObject({ code: "ResourceNotFoundException" });
});

test("a pool that needs sign-in or triggers is refused at the start", async () => {
  const { provision, userPoolId } = await start();
  await expect(provision("UserPool", "Other", { LambdaConfig: {} })).rejects.toThrow("LambdaConfig");
  const confidential = { UserPoolId: userPoolId, GenerateSecret: true };
  await expect(provision("UserPoolClient", "Other", confidential)).rejects.toThrow("GenerateSecret");
});
