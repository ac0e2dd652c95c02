import { beforeEach, expect, test } from "vitest";
import { apiHandler } from "../middleware/api-handler.ts";
import { request, type TestRequest, World } from "../testing/world.ts";
import { clearAlarmById, getWebhook, listAlarms, removeWebhook, setWebhook, testAlarm } from "./alarms.ts";

const secret = "0123456789abcdef0123456789abcdef";
const url = "https://alerts.example.com/causeway?token=hidden";

let world: World;
let call: (
  routeKey: string,
  options?: TestRequest & { path?: Record<string, string> },
) => ReturnType<typeof request>;

beforeEach(async () => {
  world = await World.start();
  const deps = {
    ...world,
    secrets: { seal: async (text: string) => Buffer.from(`sealed ${text}`).toString("base64") },
    allowLoopback: false,
  };
  const operations = { listAlarms, testAlarm, clearAlarmById, getWebhook, setWebhook, removeWebhook };
  const handler = apiHandler(
    { name: "api/alarms", build: () => deps, operations },
    {
      ...world.runtime,
      variables: { ...world.runtime.variables },
    },
  );
  call = (routeKey, { path, ...options } = {}) => request(handler, routeKey, path, options);
});

test("the webhook is shown without its secret, and the audit has only its host", async () => {
  expect((await call("GET /webhook")).body).toEqual({});
  const set = await call("POST /webhook", { body: { url, secret } });
  expect(set).toMatchObject({ status: 200, body: { url, allowPrivate: false, setBy: "ada" } });
  const shown = await call("GET /webhook");
  expect(JSON.stringify([set.body, shown.body])).not.toContain(secret.slice(0, 8));
  const { items } = await world.store.audit.page({ limit: 1 });
  expect(items).toMatchObject([{ action: "webhook-set", details: { host: "alerts.example.com" } }]);
  expect(JSON.stringify(items)).not.toContain("hidden");
  await call("DELETE /webhook");
  expect((await call("GET /webhook")).body).not.toHaveProperty("url");
  expect((await world.store.webhook.find())?.endpoint).toBeUndefined();
});

test.each([
  ["a short secret", { url, secret: "short" }],
  ["a secret with a space", { url, secret: `${secret} ` }],
  ["plain HTTP", { url: "http://alerts.example.com/", secret }],
  ["a private address", { url: "https://10.0.0.1/", secret }],
  ["the metadata service", { url: "https://169.254.169.254/", secret, allowPrivate: true }],
  ["an unknown field", { url, secret, followRedirects: true }],
])("a webhook with %s is refused, and nothing is stored", async (_, body) => {
  expect((await call("POST /webhook", { body })).status).toBe(400);
  expect(await world.store.webhook.find()).toBeUndefined();
});

test("each test alarm sends a notice that it was raised and one that it was cleared", async () => {
  await call("POST /webhook", { body: { url, secret } });
  for (let times = 1; times <= 2; times++) {
    world.nowMs += 1000;
    const { status, body } = await call("POST /alarms/test");
    expect({ status, body }).toMatchObject({ status: 202, body: { kind: "test", state: "cleared" } });
    expect(world.topic.notices).toHaveLength(2 * times);
    expect(world.webhooks.executions.size).toBe(2 * times);
  }
  expect((await call("GET /alarms")).body).toMatchObject({ items: [{ state: "cleared", unsentNotices: 0 }] });
});

test("an operator clears an alarm by hand, once, and the audit says who", async () => {
  await call("POST /alarms/test");
  const { items } = (await call("GET /alarms")).body as { items: { id: string }[] };
  const path = { id: items[0]?.id ?? "" };
  expect(await call("POST /alarms/{id}/clear", { path })).toMatchObject({
    status: 200,
    body: { state: "cleared" },
  });
  expect((await call("POST /alarms/{id}/clear", { path: { id: "alm_unknown" } })).status).toBe(404);
  expect(world.topic.notices).toEqual(["raised test test", "cleared test test"]);
});
