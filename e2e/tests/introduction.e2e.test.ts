import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Agent } from "#agent/agent.ts";
import { openAgentCloud } from "#agent/cloud/agent-cloud.ts";
import { aDisk, anInventory } from "#shared/domain/testing/records.ts";
import { DiskNotFoundError } from "#shared/errors.ts";
import type { BrokenFence } from "#shared/protocol/fence.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { until } from "../testing/until.ts";

const noLog = { info() {}, warn() {}, error() {} };
let plane: ControlPlane;
let dir: string;

beforeAll(async () => {
  plane = await ControlPlane.start();
  dir = await mkdtemp(join(tmpdir(), "causeway-introduction-"));
});
afterAll(async () => {
  await plane.close();
  await rm(dir, { recursive: true, force: true });
});

test("an agent that cannot inspect its machine at first sends its inventory as soon as it can", async () => {
  const identity = await plane.enrol("source", "pine");
  let looked = 0;
  const warnings: unknown[] = [];
  const agent = new Agent({
    identity,
    cloud: openAgentCloud(identity, { now: () => new Date(), random: Math.random, log: noLog }),
    version: "1.0.0",
    dataDir: dir,
    executors: {},
    takeInventory: async () => {
      if (++looked < 3) throw new Error("the disk does not answer");
      return anInventory({ hostname: "pine", disks: [aDisk("vda", { problems: ["sector 9: EIO"] })] });
    },
    environment: "original",
    bootId: async () => "boot-1",
    log: { info() {}, warn: (message, { problems } = {}) => warnings.push(problems ?? message), error() {} },
    now: () => new Date(),
    random: Math.random,
  });
  const running = agent.run();
  const source = await until("the inventory", async () => {
    const { items } = await plane.api.listSources({});
    return items.find(({ inventory }) => inventory);
  });
  expect(source).toMatchObject({
    id: identity.enrolment.agentId,
    inventory: { hostname: "pine", disks: [{ problems: ["sector 9: EIO"] }] },
  });
  expect(warnings).toEqual([
    "could not send agent-connected",
    "could not send agent-connected",
    ["disk vda: sector 9: EIO"],
  ]);
  await agent.stop();
  await running;
});

test("a source whose fence is broken while it is connected says so within seconds, once", async () => {
  const identity = await plane.enrol("source", "elm");
  let broken: BrokenFence | undefined;
  const sent: unknown[] = [];
  const agent = new Agent({
    identity,
    cloud: openAgentCloud(identity, { now: () => new Date(), random: Math.random, log: noLog }),
    version: "1.0.0",
    dataDir: await mkdtemp(join(dir, "elm-")),
    executors: {},
    takeInventory: async () => anInventory({ hostname: "elm" }),
    brokenFence: async () => broken,
    environment: "original",
    bootId: async () => "boot-1",
    log: { ...noLog, info: (message, fields) => void (message.includes("fence") && sent.push(fields)) },
    now: () => new Date(),
    random: Math.random,
  });
  const running = agent.run();
  await plane.heard(identity.enrolment.agentId);
  broken = { term: 3, at: new Date().toISOString(), by: "ada" };
  await until("the report", () => sent.length > 0 || undefined, 60);
  await setTimeout(6000);
  expect(sent).toEqual([{ term: 3 }]);
  await agent.stop();
  await running;
});

test("a source whose disks have changed reports them after its next recovery point, taken or not", async () => {
  const identity = await plane.enrol("source", "fir");
  let disks = [aDisk("vda")];
  let looked = 0;
  const agent = new Agent({
    identity,
    cloud: openAgentCloud(identity, { now: () => new Date(), random: Math.random, log: noLog }),
    version: "1.0.0",
    dataDir: await mkdtemp(join(dir, "fir-")),
    executors: { "take-recovery-point": () => Promise.reject(new DiskNotFoundError("vda")) },
    takeInventory: async () => {
      looked += 1;
      return anInventory({ hostname: "fir", disks });
    },
    seen: () => ({ disks }),
    environment: "original",
    bootId: async () => "boot-1",
    log: noLog,
    now: () => new Date(),
    random: Math.random,
  });
  const running = agent.run();
  const reported = async (...names: string[]) =>
    until(`the disks ${names.join(" and ")}`, async () => {
      const { items } = await plane.api.listSources({});
      const source = items.find(({ id }) => id === identity.enrolment.agentId);
      return source?.inventory?.disks.map(({ name }) => name).join() === names.join() || undefined;
    });
  await reported("vda");
  disks = [aDisk("vdb"), aDisk("vdc")];
  const sourceId = identity.enrolment.agentId;
  await plane.api.createPlan({ body: { sourceId, intervalSeconds: 86_400, retention: { last: 2 } } });
  await reported("vdb", "vdc");
  expect(looked).toBe(2);
  await agent.stop();
  await running;
});
