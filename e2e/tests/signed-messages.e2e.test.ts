/**
 * Others can publish on agents' topics: only what the control plane signed, just now and for them, has an
 * effect.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Agent } from "#agent/agent.ts";
import { openAgentCloud } from "#agent/cloud/agent-cloud.ts";
import { AfterAnswer } from "#agent/commands/after-answer.ts";
import { releaseExecutor } from "#agent/commands/release.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { restartExecutor } from "#agent/restart/restart-executor.ts";
import { anInventory } from "#shared/domain/testing/records.ts";
import type { Command } from "#shared/protocol/commands.ts";
import { TestCommandKey } from "#shared/protocol/testing/command-key.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { Device } from "../testing/device.ts";
import { topicIntruder } from "../testing/topic-intruder.ts";
import { until } from "../testing/until.ts";

let plane: ControlPlane;
let dir: string;
let pine: Identity;
let elm: Identity;
let conversionId: string;
/** The messages that the control plane sent to pine, as any subscriber could have recorded them. */
const recorded: { message: Command }[] = [];
let publish: ReturnType<typeof topicIntruder>;
const running: (() => Promise<void>)[] = [];

const idOf = ({ enrolment }: Identity) => enrolment.agentId;

beforeAll(async () => {
  plane = await ControlPlane.start();
  dir = await mkdtemp(join(tmpdir(), "causeway-signed-"));
  pine = await plane.enrol("source", "pine");
  elm = await plane.enrol("source", "elm");
  const oak = await plane.enrol("target", "oak");
  await using source = await Device.connect(pine);
  await using target = await Device.connect(oak);
  source.client.on("message", (_, payload) => recorded.push(JSON.parse(payload.toString())));
  await source.introduce();
  await target.introduce();
  await plane.heard(idOf(pine), idOf(oak));
  const body = { type: "hot", sourceId: idOf(pine), targetId: idOf(oak) } as const;
  conversionId = (await plane.api.startConversion({ body })).id;
  await source.command("take-recovery-point");
  await plane.api.cancelConversion({ parameters: { id: conversionId } });
  await source.command("release");
  await plane.ended(conversionId);
  publish = topicIntruder(plane);
});
afterEach(async () => {
  for (const stop of running.splice(0)) await stop();
});
afterAll(async () => {
  await plane.close();
  await rm(dir, { recursive: true, force: true });
});

/** A source's agent, with a new journal: it keeps what a conversion took, and could restart its machine. */
async function run(identity: Identity, { lateMs = 0 } = {}) {
  const dataDir = await mkdtemp(join(dir, "agent-"));
  const capture = join(dataDir, "captures", conversionId);
  mkdirSync(capture, { recursive: true });
  writeFileSync(join(capture, "position"), "precious");
  const now = () => new Date();
  let hears = false;
  const seen = { releases: 0, restarts: 0, refusals: [] as string[] };
  const cloud = openAgentCloud(identity, { now, random: Math.random, log: console });
  const afterAnswer = new AfterAnswer();
  const reboot = restartExecutor({
    ...{ bootId: "boot-1", afterAnswer, refusal: async () => undefined },
    restart: async () => {
      seen.restarts++;
    },
    onNotRestarted: async () => {},
  });
  const release = releaseExecutor((id) => rm(join(dataDir, "captures", id), { recursive: true }));
  const agent = new Agent({
    ...{ identity, dataDir, now },
    cloud: { ...cloud, now: () => cloud.now() + lateMs },
    version: "1.0.0",
    executors: {
      reboot,
      release: (input, context) => {
        seen.releases++;
        return release(input, context);
      },
    },
    takeInventory: async () => anInventory(),
    environment: "original",
    bootId: async () => "boot-1",
    onAcknowledged: (commandId) => afterAnswer.acknowledged(commandId),
    onCancelled: (commandId) => afterAnswer.cancelled(commandId),
    log: {
      info: (message) => {
        if (message === "connected") hears = true;
      },
      warn: (message, facts) => {
        if (message === "message refused") seen.refusals.push(String(facts?.problem));
      },
      error() {},
    },
    random: Math.random,
  });
  const end = agent.run();
  running.push(async () => {
    await agent.stop();
    await end;
  });
  await until("the agent to hear commands", () => hears || undefined);
  const refused = (count: number) =>
    until(`${count} refusals`, () => (seen.refusals.length >= count ? seen.refusals : undefined));
  return { seen, refused, hasCapture: () => existsSync(join(capture, "position")) };
}

const recordedOf = (kind: string) => {
  const found = recorded.find(({ message }) => message.kind === kind);
  if (!found) throw new Error(`no ${kind} was recorded`);
  return found;
};

test("messages of others on an agent's topic change nothing and are logged", async () => {
  const { seen, refused, hasCapture } = await run(elm);
  const now = Date.now();
  const intruder = new TestCommandKey();
  const command = (kind: string, input: object): Command => ({
    type: "command",
    commandId: `${conversionId}.${kind}.1`,
    kind,
    input: { conversionId, ...input },
    requestedBy: "ada",
    issuedAt: new Date(now).toISOString(),
  });
  const reboot = command("reboot", { into: "original" });
  const genuine = recordedOf("release");
  const forgeries: unknown[] = [
    "not JSON",
    reboot,
    command("release", { ownerId: conversionId }),
    { type: "acknowledge", commandId: reboot.commandId },
    { type: "cancel", commandId: reboot.commandId },
    await intruder.message(reboot, idOf(elm), now),
    await intruder.message(command("release", { ownerId: conversionId }), idOf(elm), now),
    // The control plane's own, for another agent, and turned into one for this agent.
    genuine,
    { ...genuine, agentId: idOf(elm) },
    { ...genuine, message: reboot },
  ];
  for (const forgery of forgeries) await publish(idOf(elm), forgery);
  expect(await refused(9)).toEqual([
    ...Array(4).fill("it is not signed"),
    ...Array(2).fill(expect.stringContaining("signature does not match")),
    `it is for the agent ${idOf(pine)}`,
    ...Array(2).fill(expect.stringContaining("signature does not match")),
  ]);
  expect(seen).toMatchObject({ releases: 0, restarts: 0 });
  expect(hasCapture()).toBe(true);
  const { items } = await plane.api.listAudit({ query: { limit: 200 } });
  expect(items.filter(({ action }) => action === "event-refused")).toEqual([]);
});

test("a command is carried out once, even if recorded copies arrive while it is valid", async () => {
  const { seen, hasCapture } = await run(pine);
  // The control plane sends the unanswered release again, with a new signature.
  await until("the release", () => (hasCapture() ? undefined : true));
  for (let times = 0; times < 3; times++) for (const message of recorded) await publish(idOf(pine), message);
  const forged = { type: "command", commandId: "last", kind: "reboot" };
  await publish(idOf(pine), forged);
  await until("all to be heard", () => seen.refusals.length > 0 || undefined);
  expect(seen).toMatchObject({ releases: 1, restarts: 0 });
});

test("a recorded command that has expired is not carried out, even if the agent has never seen it", async () => {
  const { seen, refused, hasCapture } = await run(elm, { lateMs: 16 * 60_000 });
  const {
    refused: refusedByPine,
    seen: ofPine,
    hasCapture: pineHas,
  } = await run(pine, { lateMs: 16 * 60_000 });
  for (const message of recorded) {
    await publish(idOf(pine), message);
    await publish(idOf(elm), message);
  }
  for (const problem of await refused(recorded.length)) expect(problem).toContain("it is for the agent");
  for (const problem of await refusedByPine(recorded.length)) expect(problem).toContain("it expired at");
  expect([seen, ofPine]).toMatchObject(Array(2).fill({ releases: 0, restarts: 0 }));
  expect([hasCapture(), pineHas()]).toEqual([true, true]);
});
