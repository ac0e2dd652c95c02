/** Alarms on the embedded cloud: how they reach the topic and a receiver, and one that a source raises. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { signatureOf } from "#functions/alarm/webhook-signature.ts";
import { anInventory } from "#shared/domain/testing/records.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import type { TakenDisk } from "#shared/protocol/taken-point.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { Device } from "../testing/device.ts";
import { completedRun } from "../testing/plan-runs.ts";
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

test("a source whose tracker was wrong raises an alarm until its tracker is right again, and its plan shows it", async () => {
  const identity = await plane.enrol("source", "birch");
  const sourceId = identity.enrolment.agentId;
  await using source = await Device.connect(identity);
  await source.introduce();
  await plane.heard(sourceId);
  const { id: planId } = await plane.api.createPlan({ body: { sourceId, intervalSeconds: 3600 } });
  const parameters = { id: planId };
  const alarm = async () => {
    const { items } = await plane.api.listAlarms({});
    return items.find(({ kind }) => kind === "tracker-wrong");
  };

  let isFirst = true;
  /** The plan's next run, with this result of the source for its disk. */
  const runWith = async (said: Pick<TakenDisk, "mode" | "trackerDisagreements" | "consistency">) => {
    if (!isFirst) await plane.api.runPlan({ parameters });
    isFirst = false;
    const { commandId, input } = await until("the command to take a point", () =>
      source.commands.splice(0).find(({ kind }) => kind === "take-recovery-point"),
    );
    const { pointId, disks } = TakePoint.parse(input);
    const at = new Date().toISOString();
    await source.tell({ type: "command-started", commandId, at });
    const taken = disks.map((name) => ({ ...DISK, ...said, name }));
    const output = { pointId, disks: taken, freezeMilliseconds: 100, requests: 9 };
    await source.tell({ type: "command-succeeded", commandId, at, output });
    return completedRun(plane.api, planId, (run) => run.pointId === pointId);
  };

  await runWith({ mode: "hash-scan", trackerDisagreements: 0, consistency: "file-system" });
  expect(await alarm()).toBeUndefined();
  const wrong = await runWith({ mode: "hash-scan", trackerDisagreements: 3, consistency: "not" });
  expect(wrong.result?.disks).toMatchObject([{ trackerDisagreements: 3, consistency: "not" }]);
  expect(await alarm()).toMatchObject({
    ...{ state: "open", subject: sourceId, sourceName: "birch" },
    cause: expect.stringContaining(`recovery point ${wrong.pointId} is not consistent`),
    action: expect.stringContaining(`causeway plan PLAN run`),
  });
  await runWith({ mode: "tracked", trackerDisagreements: 0, consistency: "file-system" });
  expect(await alarm()).toMatchObject({ state: "cleared", clearedBy: "causeway" });
  const published = readFileSync(join(plane.dir, "logs/sns.jsonl"), "utf8");
  expect(published).toContain('"tracker-wrong"');
});

const TakePoint = commandKinds["take-recovery-point"].input;

const DISK: Omit<TakenDisk, "name" | "mode" | "trackerDisagreements" | "consistency"> = {
  ...{
    sizeBytes: anInventory({}).disks[0]?.sizeBytes ?? 0,
    bytesRead: 64,
    bytesStored: 32,
    changedBytes: 64,
  },
  ...{
    badRanges: 0,
    wholeCopies: [],
    seconds: 1,
    bottleneck: "read",
    view: "pre-copy",
    viewReason: "it is in use",
  },
};
