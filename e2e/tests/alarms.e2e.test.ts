/** Alarms on the embedded cloud: a test alarm reaches the topic and a receiver that fails at first. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { signatureOf } from "#functions/alarm/webhook-signature.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { until } from "../testing/until.ts";

const secret = "0123456789abcdef0123456789abcdef";
let plane: ControlPlane;

beforeAll(async () => {
  plane = await ControlPlane.start();
});
afterAll(() => plane.close());

test("a receiver that fails at first gets the notices later, signed at that moment", async () => {
  const received: { body: string; signature: string; status: number }[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const status = received.length < 2 ? 500 : 204;
    received.push({ body, signature: String(request.headers["causeway-signature"]), status });
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  await plane.api.setWebhook({ body: { url: `http://127.0.0.1:${port}/causeway`, secret } });
  const alarm = await plane.api.testAlarm({});
  expect(alarm).toMatchObject({ state: "cleared", unsentNotices: 0 });

  const webhook = await until("both notices to be delivered", async () => {
    const { items } = await plane.api.listAlarms({});
    const deliveries = items[0]?.webhook ?? [];
    return deliveries.every(({ state }) => state === "delivered") ? deliveries : undefined;
  });
  expect(webhook.map(({ noticeId }) => noticeId)).toEqual([`${alarm.id}.1`, `${alarm.id}.2`]);
  expect(received.map(({ status }) => status)).toEqual([500, 500, 204, 204]);
  for (const { body, signature } of received) {
    const seconds = Number(/^t=(\d+),/.exec(signature)?.[1]);
    expect(signature).toBe(signatureOf(body, secret, seconds * 1000));
    expect(Math.abs(Date.now() / 1000 - seconds)).toBeLessThan(300);
  }
  const taken = received.filter(({ status }) => status === 204).map(({ body }) => JSON.parse(body));
  expect(taken.map(({ event }) => event).sort()).toEqual(["cleared", "raised"]);

  const published = readFileSync(join(plane.dir, "logs/sns.jsonl"), "utf8").trim().split("\n");
  expect(published.map((line) => JSON.parse(line).message)).toMatchObject([
    { topic: "causeway-alarms", attributes: { kind: "test", event: "raised" } },
    { topic: "causeway-alarms", attributes: { kind: "test", event: "cleared" } },
  ]);
});
