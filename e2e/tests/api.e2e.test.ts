/**
 * The HTTP API from a client's view: what it refuses and how, that lists are complete, and that repeating a
 * start starts only one conversion.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as z from "zod";
import { createCertificateRequest } from "#agent/identity/certificate-request.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { Problem } from "#shared/protocol/resources.ts";
import { type OperationId, type Route, routes } from "#shared/protocol/routes.ts";
import { ControlPlane, type HttpAnswer } from "../testing/control-plane.ts";
import { Device } from "../testing/device.ts";
import { bodies } from "../testing/request-bodies.ts";

let plane: ControlPlane;
/** Enrolled, never connected. */
let asleep: Identity;
let source: Identity;
let target: Identity;
const devices: Device[] = [];

beforeAll(async () => {
  plane = await ControlPlane.start();
  [asleep, source, target] = await Promise.all([
    plane.enrol("source", "asleep"),
    plane.enrol("source", "source"),
    plane.enrol("target", "target"),
  ]);
  for (const identity of [source, target]) {
    const device = await Device.connect(identity);
    devices.push(device);
    await device.introduce();
  }
  await plane.heard(idOf(source), idOf(target));
});
afterAll(async () => {
  for (const device of devices) await device[Symbol.asyncDispose]();
  await plane.close();
});

const idOf = ({ enrolment }: Identity) => enrolment.agentId;
const all = Object.entries(routes) as [OperationId, Route][];
/** Agents are refused before their body is read. */
const withBody = all.filter(([, { body, auth }]) => body && auth !== "agent");
const ofUsers = all.filter(([, { auth }]) => auth === "user");
const pathOf = ({ path }: Route, id = "unknown") => path.replaceAll(/\{\w+\}/g, encodeURIComponent(id));

/** The answer as problem details of this status. */
function problem({ status, type, body }: HttpAnswer, expected: number, about = ""): Problem {
  expect({ status, type, body }, about).toMatchObject({ status: expected, type: "application/problem+json" });
  const read = Problem.parse(body);
  expect(read.status).toBe(expected);
  expect(read.hint).not.toBe("");
  return read;
}

function fieldsOf(answer: HttpAnswer, about?: string): string[] {
  return [...new Set((problem(answer, 400, about).fields ?? []).map(({ path }) => path))];
}

/** The id of a new plan for the source that was never connected. */
async function aPlan(): Promise<string> {
  const { items } = await plane.api.listPlans({});
  const body = { sourceId: idOf(asleep), intervalSeconds: 3600, startAt: "2100-01-01T00:00:00.000Z" };
  return items[0]?.id ?? (await plane.api.createPlan({ body })).id;
}

// --- Who may call ------------------------------------------------------------------------------------------------

test("no route of a user answers without a valid token", async () => {
  const [header, payload = "", signature = ""] = plane.token.split(".");
  const flipped = (text: string) => (text.startsWith("A") ? "B" : "A") + text.slice(1);
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
  const encode = (json: object) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const tokens = {
    none: null,
    expired: await plane.tokenFor(-1),
    "with a wrong signature": [header, payload, flipped(signature)].join("."),
    "with other claims": [header, encode({ ...claims, username: "root" }), signature].join("."),
    unsigned: [encode({ alg: "none" }), payload, ""].join("."),
    nonsense: "nonsense",
  };
  for (const [what, token] of Object.entries(tokens)) {
    expect((await plane.http("GET", "/sources", { token })).status, what).toBe(401);
  }
  for (const [id, route] of ofUsers) {
    expect(
      (await plane.http(route.method, pathOf(route), { token: null, body: bodies[id] })).status,
      id,
    ).toBe(401);
  }
});

test("a route or method that does not exist is not found", async () => {
  for (const [method, path] of [
    ["GET", "/nothing"],
    ["GET", "/sources/a/b"],
    ["PUT", "/sources"],
    ["DELETE", "/conversions/cnv_1"],
    ["GET", "/SOURCES"],
  ] as const) {
    expect((await plane.http(method, path)).status, `${method} ${path}`).toBe(404);
  }
});

// --- Malformed input ---------------------------------------------------------------------------------------------

test("a body that is missing, not JSON, or not an object is refused with that reason", async () => {
  for (const [id, route] of withBody) {
    for (const body of [
      undefined,
      "",
      "{",
      '{"a":1}}',
      "\ufeff{}",
      "nul",
      "[]",
      "null",
      "7",
      `${"[".repeat(50_000)}`,
    ]) {
      expect(
        fieldsOf(await plane.http(route.method, pathOf(route), { body }), `${id} ${body?.slice(0, 20)}`),
      ).not.toEqual([]);
    }
  }
});

test("each missing, wrong, excessive or unknown field is named", async () => {
  for (const [id, route] of withBody) {
    const valid = bodies[id] ?? {};
    const send = async (body: object) => {
      const answer = await plane.http(route.method, pathOf(route), { body });
      const fields = fieldsOf(answer, JSON.stringify(body).slice(0, 200));
      // A field inside of a field is named with its way there.
      return [...new Set(fields.map((path) => path.split(".")[0]))];
    };
    for (const name of Object.keys(valid)) {
      const { [name]: _, ...without } = valid;
      if (!route.body?.safeParse(without).success) expect(await send(without)).toEqual([name]);
      for (const wrong of [null, {}, "", "x".repeat(100_000), -1, 1e300]) {
        const body = { ...valid, [name]: wrong };
        if (!route.body?.safeParse(body).success) expect(await send(body)).toEqual([name]);
      }
    }
    for (const name of ["extra", "constructor", "Role"])
      expect(await send({ ...valid, [name]: 1 })).toEqual([name]);
  }
});

test("no body makes the API fail, and a refusal names one of its fields", async () => {
  const changed = fc.constantFrom(...withBody).chain(([id, route]) =>
    fc.record({
      id: fc.constant(id),
      route: fc.constant(route),
      body: fc
        .tuple(
          fc.constantFrom(...Object.keys(bodies[id] ?? {})),
          fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.string({ maxLength: 3000 })),
        )
        .map(([name, value]) => ({ ...bodies[id], [name]: value })),
    }),
  );
  await fc.assert(
    fc.asyncProperty(changed, async ({ route, body }) => {
      const answer = await plane.http(route.method, pathOf(route), { body });
      const valid = route.body?.safeParse(body).success === true;
      if (!valid) expect(fieldsOf(answer)).not.toEqual([]);
      else expect(answer.status).toBeLessThan(500);
    }),
    { numRuns: 60 },
  );
});

test("a body longer than any request is refused", async () => {
  const body = { ...bodies.startConversion, bootExpect: "x".repeat(10 * 1024 * 1024) };
  expect((await plane.http("POST", "/conversions", { body })).status).toBe(413);
});

test("an id of any form is unknown or refused by name, and never causes a failure", async () => {
  const withId = ofUsers.filter(([, { path }]) => path.includes("{id}"));
  for (const [id, route] of withId) {
    for (const odd of ["unknown", "agt_", "%", "\u0000", "é".repeat(100), "💥", "#", "AGENT#x"]) {
      const answer = await plane.http(route.method, pathOf(route, odd), { body: bodies[id] });
      if (answer.status === 400) expect(fieldsOf(answer), `${id} ${odd}`).toEqual(["id"]);
      else problem(answer, 404, `${id} ${odd}`);
    }
    const long = await plane.http(route.method, pathOf(route, "x".repeat(101)), { body: bodies[id] });
    expect(fieldsOf(long)).toEqual(["id"]);
  }
  for (const sourceId of ["x".repeat(101), "x".repeat(50_000)]) {
    expect(
      fieldsOf(await plane.http("POST", "/conversions", { body: { ...bodies.startConversion, sourceId } })),
    ).toEqual(["sourceId"]);
  }
});

test("a wrong limit, cursor or parameter is named", async () => {
  const lists = ofUsers.filter(([, { method, query }]) => method === "GET" && query);
  const plan = await aPlan();
  const elsewhere = (await plane.api.listAudit({ query: { limit: 1 } })).cursor ?? "";
  const cursor = (position: object) => Buffer.from(JSON.stringify(position)).toString("base64url");
  for (const [id, route] of lists) {
    const path = pathOf(route, id === "listRuns" ? plan : idOf(source));
    const named = async (query: string) =>
      fieldsOf(await plane.http("GET", `${path}?${query}`), `${id} ${query}`);
    for (const limit of ["0", "-1", "201", "1.5", "ten", "", "1&limit=2", "1e9", "NaN"]) {
      expect(await named(`limit=${limit}`)).toEqual(["limit"]);
    }
    for (const wrong of [
      "nonsense",
      "e30",
      cursor({ pk: "AUDIT" }),
      cursor({ pk: "X", sk: "Y" }),
      "x".repeat(3000),
      "💥",
    ]) {
      expect(await named(`cursor=${encodeURIComponent(wrong)}`)).toEqual(["cursor"]);
    }
    if (id !== "listAudit") expect(await named(`cursor=${elsewhere}`)).toEqual(["cursor"]);
    expect(await named("colour=red")).toEqual(["colour"]);
  }
  expect(fieldsOf(await plane.http("GET", "/conversions?state=lukewarm"))).toEqual(["state"]);
});

test("an invented cursor is refused or shows only items of the list", async () => {
  const part = fc.constantFrom("AUDIT", "ROLE#source", "AGENT", "x", "", "aud_", 7, undefined);
  const lists = ["/audit", "/sources", "/conversions"];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...lists),
      fc.record({ pk: part, sk: part, gsi1pk: part, gsi1sk: part }),
      async (path, position) => {
        const cursor = Buffer.from(JSON.stringify(position)).toString("base64url");
        const answer = await plane.http("GET", `${path}?cursor=${cursor}`);
        if (answer.status !== 200) expect(fieldsOf(answer)).toEqual(["cursor"]);
      },
    ),
    {
      numRuns: 40,
      examples: [
        ["/audit", { pk: "AUDIT", sk: "x", gsi1pk: "y", gsi1sk: undefined }],
        ["/sources", { pk: "x", sk: "y", gsi1pk: "ROLE#source", gsi1sk: "z" }],
        ["/sources", { pk: "AGENT", sk: "AGENT", gsi1pk: "ROLE#source", gsi1sk: "x" }],
      ],
    },
  );
});

// --- Enrolment ---------------------------------------------------------------------------------------------------

test("an invalid certificate request is named, and the token still works", async () => {
  const { token = "" } = await plane.api.createEnrolmentToken({ body: { role: "source" } });
  const enrol = (csr: string) =>
    plane.http("POST", "/enrolments", { token: null, body: { token, role: "source", name: "birch", csr } });
  const { csrPem } = await createCertificateRequest("birch");
  const broken = csrPem.replace(/[A-Z]{4}/, "AAAA");
  for (const csr of ["", "nonsense", csrPem.replaceAll("REQUEST", ""), csrPem.slice(0, 200), broken]) {
    expect(fieldsOf(await enrol(csr), csr.slice(0, 60))).toEqual(["csr"]);
  }
  expect((await enrol(csrPem)).status).toBe(201);
});

// --- Conversions -------------------------------------------------------------------------------------------------

test("the same idempotency key starts one conversion, even if it is sent many times at once", async () => {
  const body = { type: "hot", sourceId: idOf(source), targetId: idOf(target) };
  const start = (key: string, change: object = {}) =>
    plane.http("POST", "/conversions", { body: { ...body, ...change }, headers: { "idempotency-key": key } });
  const answers = await Promise.all([start("one"), start("one"), start("one")]);
  const again = await start("one");
  const ids = [...answers, again].map((answer) => (answer.body as { id?: string }).id);
  expect([...answers, again].map(({ status }) => status)).toEqual([202, 202, 202, 202]);
  expect(new Set(ids).size).toBe(1);
  const { items } = await plane.api.listConversions({});
  expect(items.map(({ id }) => id)).toEqual([ids[0]]);

  expect(fieldsOf(await start("one", { format: "raw" }))).toEqual(["Idempotency-Key"]);
  expect(fieldsOf(await start("x".repeat(201)))).toEqual(["Idempotency-Key"]);
  const held = problem(await start("two"), 409);
  expect(held.detail).toContain(ids[0]);

  const id = ids[0] ?? "";
  expect((await plane.http("POST", `/conversions/${id}/cancel`)).status).toBe(202);
  expect((await plane.ended(id)).state).toBe("cancelled");
  expect((await plane.http("POST", `/conversions/${id}/cancel`)).status).toBe(202);
});

test("a failed conversion cannot be cancelled, and says why it failed and what to do", async () => {
  const { id } = await plane.api.startConversion({
    body: { type: "hot", sourceId: idOf(asleep), targetId: idOf(target), disks: ["vda"] },
  });
  const { state, failure } = await plane.ended(id);
  expect({ state, failure }).toMatchObject({ state: "failed", failure: { name: "PreflightFailedError" } });
  expect(failure?.hint).not.toBe("");
  problem(await plane.http("POST", `/conversions/${id}/cancel`), 409);
});

// --- Lists and documents -----------------------------------------------------------------------------------------

test("following the cursors shows every item exactly once, newest first", async () => {
  await Promise.all([..."12345"].map((name) => plane.enrol("source", name)));
  for (const path of ["/sources", "/audit", "/conversions", "/conversions?state=failed", "/targets"]) {
    const page = async (query: string) =>
      z
        .object({ items: z.array(z.object({ id: z.string() })), cursor: z.string().nullable() })
        .parse((await plane.http("GET", `${path}${path.includes("?") ? "&" : "?"}${query}`)).body);
    const whole = (await page("limit=200")).items.map(({ id }) => id);
    expect(whole).toEqual(whole.toSorted().reverse());
    for (const limit of [1, 2, whole.length]) {
      const seen: string[] = [];
      let cursor: string | null = "";
      while (cursor !== null) {
        const next = await page(`limit=${limit}${cursor ? `&cursor=${cursor}` : ""}`);
        expect(next.items.length).toBeLessThanOrEqual(limit);
        seen.push(...next.items.map(({ id }) => id));
        cursor = next.cursor;
      }
      expect(seen, `${path} by ${limit}`).toEqual(whole);
    }
  }
});

test("every answer matches its route's schema", async () => {
  const { items } = await plane.api.listConversions({});
  const plan = await aPlan();
  const ofPlans = all.filter(([, { path }]) => path.startsWith("/plans/{id}")).map(([id]) => id);
  const ids: Partial<Record<OperationId, string>> = {
    getSource: idOf(source),
    getTarget: idOf(target),
    getConversion: items[0]?.id ?? "",
    ...Object.fromEntries(ofPlans.map((id) => [id, plan])),
    listRecoveryPoints: idOf(source),
    openSourceData: idOf(source),
    checkPreflight: idOf(source),
    revokeAgent: idOf(asleep),
  };
  const reachable = all.filter(([id, { path }]) => !path.includes("{id}") || ids[id]);
  // These need something that exists: a token, a code, a source that is free.
  const needy: OperationId[] = [
    "enrol",
    "approveEnrolment",
    "startConversion",
    "createPlan",
    "createCutover",
  ];
  for (const [id, route] of reachable.filter(([id]) => !needy.includes(id))) {
    const body = id === "checkPreflight" ? { type: "remote-cold", targetId: idOf(target) } : bodies[id];
    const answer = await plane.http(route.method, pathOf(route, ids[id]), { body });
    expect(answer, id).toMatchObject({ status: route.status, type: "application/json" });
    expect(route.response.parse(answer.body), id).toEqual(answer.body);
    expect(answer.headers.get("cache-control")).toBe("no-store");
  }
});

test("the OpenAPI document is served to anyone, and is the committed one", async () => {
  const { status, body } = await plane.http("GET", "/openapi.json", { token: null });
  expect(status).toBe(200);
  expect(body).toEqual(
    JSON.parse(readFileSync(join(import.meta.dirname, "../../docs/openapi.json"), "utf8")),
  );
});
