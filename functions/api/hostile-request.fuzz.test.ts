/** Hostile paths, queries, headers and bodies for every route. */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { aBootImage, aConversion, aDrill, aRecovery, aSource } from "#shared/domain/testing/records.ts";
import { type OperationId, type Route, routes } from "#shared/protocol/routes.ts";
import { hostileValue, mutated } from "#shared/protocol/testing/mutations.ts";
import { type ApiFunction, apiHandler } from "../middleware/api-handler.ts";
import { enrolmentsOf } from "../testing/enrolments.ts";
import { request, type TestRequest, World } from "../testing/world.ts";
import * as agents from "./agents.ts";
import * as audit from "./audit.ts";
import * as bootImages from "./boot-images.ts";
import * as checks from "./checks.ts";
import * as conversions from "./conversions.ts";
import * as dataAccess from "./data-access.ts";
import * as drills from "./drills.ts";
import * as enrolmentRequests from "./enrolment-requests.ts";
import * as enrolmentTokens from "./enrolment-tokens.ts";
import * as preflight from "./preflight.ts";
import * as recoveries from "./recoveries.ts";
import * as recoveryPoints from "./recovery-points.ts";

const key = generateKeyPairSync("ed25519");
const manifest = JSON.stringify({
  ...{ format: 1, architecture: "x86_64", causewayVersion: "1", kernelRelease: "6.1", memoryMiB: 1024 },
  drivers: [],
  files: [{ path: "vmlinuz", sizeBytes: 6, sha256: "a".repeat(64) }],
});
const csr = "-----BEGIN CERTIFICATE REQUEST-----";
const TOKEN = "enrol_known";
/** A body that each route accepts. */
const bodies: Partial<Record<OperationId, unknown>> = {
  createEnrolmentToken: { role: "source", lifetimeSeconds: 3600 },
  enrol: { token: TOKEN, role: "source", name: "pine", csr },
  requestEnrolment: { name: "pine", macAddresses: ["52:54:00:ca:05:e1"], disks: [], csr },
  claimEnrolment: { secret: "s".repeat(43) },
  approveEnrolment: { code: "BCDF-GHJK" },
  startConversion: { type: "hot", sourceId: "agt_source", targetId: "agt_target", disks: ["vda"] },
  startCheck: { whole: true },
  startDrill: { targetId: "agt_target", bootExpect: "ready" },
  startRecovery: { targetId: "agt_target", network: "test", machine: { hypervisor: "libvirt" } },
  checkPreflight: { type: "hot", targetId: "agt_target", disks: ["vda"] },
  addBootImage: {
    manifest,
    signatureBase64: sign(null, Buffer.from(manifest), key.privateKey).toString("base64"),
    publicKeyPem: key.publicKey.export({ type: "spki", format: "pem" }).toString(),
  },
};

type Handler = Parameters<typeof request>[0];

async function start() {
  const world = await World.start();
  await world.enrolled();
  await world.store.agents.add(aSource({ id: "agt_spare", certificateId: "e".repeat(64) }));
  await world.store.conversions.add(aConversion());
  const made = { id: "rp_1", sourceId: "agt_source", createdAt: "2030-01-01T00:00:00.000Z" };
  const disk = { name: "vda", sizeBytes: 64, badRanges: 0, consistency: "crash", wholeCopies: [] } as const;
  await world.store.points.add({ ...made, disks: [{ ...disk, wholeCopies: [] }] });
  await world.store.drills.add(aDrill());
  await world.store.recoveries.add(aRecovery());
  await world.store.bootImages.add(aBootImage());
  const deps = {
    ...world,
    clock: world.clock,
    // The world's counter instead of randomness would give only a few different codes.
    random: (length: number) => randomBytes(length),
    bucket: "bucket",
    region: "local-1",
    awsEndpoint: "http://aws.local",
  };
  const build = () => deps;
  const { runtime } = world;
  const handlers: Record<string, Handler> = {};
  const modules = {
    agents,
    audit,
    "boot-images": bootImages,
    checks,
    conversions,
    "data-access": dataAccess,
    drills,
    "enrolment-requests": enrolmentRequests,
    "enrolment-tokens": enrolmentTokens,
    preflight,
    recoveries,
    "recovery-points": recoveryPoints,
  };
  for (const [name, { handler: _, ...operations }] of Object.entries(modules)) {
    handlers[name] = apiHandler(
      { name: `api/${name}` as ApiFunction, build, operations: operations as never },
      runtime,
    );
  }
  handlers.enrolments = enrolmentsOf(world);
  return handlers;
}

const known = fc.constantFrom("agt_source", "agt_target", "cnv_1", "drl_1", "rcv_1", "rp_1", "a".repeat(64));
const text = hostileValue.map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
/** A revoked agent would get nothing but refusals from then on. */
const idFor = (operation: OperationId) =>
  fc.oneof({ weight: 3, arbitrary: operation === "revokeAgent" ? fc.constant("agt_spare") : known }, text);
const query = fc.oneof(
  fc.constant({}),
  fc.dictionary(
    fc.constantFrom("limit", "cursor", "state", "sourceId", "x"),
    fc.oneof(text, fc.constant("7")),
    {
      maxKeys: 3,
    },
  ),
);
const headers = fc.dictionary(
  fc.constantFrom("idempotency-key", "content-type", "x-forwarded-port", "x-forwarded-proto", "host"),
  text,
  { maxKeys: 2 },
);
const callers = { user: { user: "ada" }, agent: { certificate: "d".repeat(64) }, none: "anyone" } as const;

/** A caller that the route is for, or another one. */
function callerOf({ auth }: Route): fc.Arbitrary<TestRequest["as"]> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(callers[auth]) },
    fc.constantFrom(...Object.values(callers)),
  );
}

function bodyOf(operation: OperationId): fc.Arbitrary<unknown> {
  const body = bodies[operation];
  return body === undefined ? hostileValue : fc.oneof(fc.constant(body), mutated(body), text);
}

test("the API answers any request, and never with an error of its own", async () => {
  const handlers = await start();
  const all = (Object.entries(routes) as [OperationId, Route][]).filter(
    ([, { handler }]) => handlers[handler],
  );
  const call = fc.constantFrom(...all).chain(([operation, route]) =>
    fc.record({
      route: fc.constant(route),
      id: idFor(operation),
      body: bodyOf(operation),
      query,
      headers,
      as: callerOf(route),
    }),
  );
  await fc.assert(
    fc.asyncProperty(call, async ({ route, id: named, ...rest }) => {
      const parameters = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => [name, named]);
      const handler = handlers[route.handler] as Handler;
      const answer = await request(
        handler,
        `${route.method} ${route.path}`,
        Object.fromEntries(parameters),
        rest,
      );
      expect(answer.status).toBeLessThan(500);
    }),
    { numRuns: 800 },
  );
});
