import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ACCOUNT_ID, REGION } from "../core/service.ts";
import { SmallCloud } from "../gateway/testing/small-cloud.ts";
import { echo, HttpApiWorld } from "./testing/http-api-world.ts";

let cloud: SmallCloud;
let world: HttpApiWorld;

beforeEach(async () => {
  cloud = await SmallCloud.start();
  world = await HttpApiWorld.start({ authenticate: (request) => cloud.gateway.authenticate(request) });
  await world.addRoute("ANY /agents/{id}", await world.addIntegration("agents", echo), {
    AuthorizationType: "AWS_IAM",
  });
});
afterEach(async () => {
  await world.stop();
  await cloud[Symbol.asyncDispose]();
});

class NodeSha256 {
  readonly #hash;

  constructor(secret?: unknown) {
    this.#hash =
      secret === undefined ? createHash("sha256") : createHmac("sha256", Buffer.from(secret as Uint8Array));
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(typeof data === "string" ? data : Buffer.from(data as Uint8Array));
  }
  reset(): void {}
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

interface Call {
  roleArn: string;
  path: string;
  signedBody?: string;
  sentBody?: string;
  service?: string;
}

async function call({
  roleArn,
  path,
  signedBody = "{}",
  sentBody = signedBody,
  service,
}: Call): Promise<Response> {
  const { host } = new URL(world.url);
  const signer = new SignatureV4({
    credentials: cloud.credentials(roleArn),
    region: REGION,
    service: service ?? "execute-api",
    sha256: NodeSha256,
  });
  const headers = { host, "content-type": "application/json" };
  const request = { method: "POST", protocol: "http:", hostname: host, path, headers, body: signedBody };
  const signed = await signer.sign(request, { signingDate: new Date(cloud.clock.now()) });
  const { host: _, ...sent } = signed.headers;
  return fetch(world.url + path, { method: "POST", headers: sent, body: sentBody });
}

const allow = (resource: string) =>
  ({
    Effect: "Allow",
    Action: "execute-api:Invoke",
    Resource: `arn:aws:execute-api:${REGION}:${ACCOUNT_ID}:${resource}`,
  }) as const;

test("a signed request of a role that may invoke the path gets in, with who it is", async () => {
  const roleArn = await cloud.addRole("caller", allow(`${world.apiId}/$default/POST/agents/7`));
  const response = await call({ roleArn, path: "/agents/7" });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    body: "{}",
    requestContext: {
      authorizer: {
        iam: {
          accessKey: expect.stringMatching(/^ASIA/),
          accountId: ACCOUNT_ID,
          callerId: expect.stringMatching(/^AROA[0-9A-F]+:test$/),
          userArn: expect.stringContaining("assumed-role/caller/test"),
        },
      },
    },
  });
});

test("another path, a changed body, another service's signature and no signature are all forbidden", async () => {
  const roleArn = await cloud.addRole("caller", allow(`${world.apiId}/$default/POST/agents/7`));
  const answers = await Promise.all([
    call({ roleArn, path: "/agents/8" }),
    call({ roleArn, path: "/agents/7", sentBody: '{"a":1}' }),
    call({ roleArn, path: "/agents/7", service: "lambda" }),
    fetch(`${world.url}/agents/7`, { method: "POST" }),
  ]);
  for (const answer of answers) {
    expect([answer.status, await answer.json()]).toEqual([403, { message: "Forbidden" }]);
  }
});
