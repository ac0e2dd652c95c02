import { expect, test } from "vitest";
import {
  ConcurrentChangeError,
  EnrolmentRefusedError,
  ForbiddenError,
  NotFoundError,
  PreflightFailedError,
  WrongStateError,
} from "#shared/errors.ts";
import type { AuditEntry } from "#shared/protocol/resources.ts";
import type { TablePage } from "../store/table.ts";
import { request, World } from "../testing/world.ts";
import { apiHandler, type Call } from "./api-handler.ts";

/** The audit's function with another operation. */
async function audit(run: (call: Call<"listAudit">) => Promise<unknown>) {
  const world = await World.start();
  const listAudit = async (call: Call<"listAudit">) => (await run(call)) as TablePage<AuditEntry>;
  const handler = apiHandler(
    { name: "api/audit", build: () => ({}), operations: { listAudit } },
    world.runtime,
  );
  return { world, get: (options = {}) => request(handler, "GET /audit", {}, options) };
}
const nothing = async () => ({ items: [], cursor: null });

test("a request reaches the operation as its route parses it", async () => {
  let seen: Call<"listAudit"> | undefined;
  const { get } = await audit((call) => {
    seen = call;
    return nothing();
  });
  await get({ query: { limit: "7" } });
  expect(seen).toMatchObject({
    query: { limit: 7 },
    actor: { kind: "user", name: "ada" },
    apiUrl: "http://127.0.0.1:8080",
  });
});

test("a wrong field is named", async () => {
  const { get } = await audit(nothing);
  const { status, headers, body } = await get({ query: { limit: "0", extra: "1" } });
  expect(status).toBe(400);
  expect(headers["content-type"]).toBe("application/problem+json");
  expect(body).toMatchObject({
    name: "InvalidInputError",
    fields: [{ path: "limit" }, { path: "extra" }],
    hint: expect.any(String),
  });
});

test.each([
  [new ForbiddenError("no"), 403],
  [new EnrolmentRefusedError(), 403],
  [new NotFoundError("source", "agt_1"), 404],
  [new WrongStateError("busy"), 409],
  [new ConcurrentChangeError("source", "agt_1"), 409],
  [new PreflightFailedError([{ id: "a", message: "b", remedy: "c" }]), 409],
])("$name is a problem with its own status", async (error, status) => {
  const { get } = await audit(() => Promise.reject(error));
  expect(await get()).toMatchObject({ status, body: { name: error.name, detail: error.message, status } });
});

test("the log gets an unexpected error in full, and the caller only a request id", async () => {
  const { get, world } = await audit(() => Promise.reject(new Error("the password is hunter2")));
  const { status, body } = await get();
  expect(status).toBe(500);
  expect(JSON.stringify(body)).not.toContain("hunter2");
  expect(body.detail).toContain("r-1");
  expect(JSON.stringify(world.logged)).toContain("hunter2");
});

test("an answer that does not match the route's schema is an internal error, and is not sent", async () => {
  const { get } = await audit(async () => ({ items: [{ id: 7 }], cursor: null }));
  expect((await get()).status).toBe(500);
});

test("only a user may call a user's route", async () => {
  const { get } = await audit(nothing);
  expect((await get({ as: "anyone" })).status).toBe(403);
  expect((await get({ as: { certificate: "c" } })).status).toBe(403);
});

test("a missing variable fails the function, and the log names it", async () => {
  const world = await World.start();
  const runtime = { ...world.runtime, variables: {} };
  const operations = { listAudit: nothing as () => Promise<TablePage<AuditEntry>> };
  const handler = apiHandler({ name: "api/audit", build: () => ({}), operations }, runtime);
  expect((await request(handler, "GET /audit")).status).toBe(500);
  expect(JSON.stringify(world.logged)).toContain("TABLE_NAME");
});

test("answers forbid caching, framing and type guessing", async () => {
  const { get } = await audit(nothing);
  expect((await get()).headers).toMatchObject({
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": expect.stringContaining("default-src 'none'"),
  });
});

test("so do problems", async () => {
  const { get } = await audit(nothing);
  const { status, headers } = await get({ query: { limit: "0" } });
  expect(status).toBe(400);
  expect(headers).toMatchObject({
    "cache-control": "no-store",
    "content-type": "application/problem+json",
    "x-content-type-options": "nosniff",
  });
});

test("an event that is not an HTTP event is a problem without details", async () => {
  const world = await World.start();
  const operations = { listAudit: nothing as () => Promise<TablePage<AuditEntry>> };
  const handler = apiHandler({ name: "api/audit", build: () => ({}), operations }, world.runtime);
  const { statusCode, body } = await handler({ odd: true }, {} as never);
  expect(statusCode).toBe(500);
  expect(JSON.parse(body)).toMatchObject({ detail: "unexpected error in request unknown" });
});
