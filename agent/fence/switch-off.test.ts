import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import { AfterAnswer } from "../commands/after-answer.ts";
import { executionContext } from "../commands/testing/execution-context.ts";
import { FenceState } from "./fence-keeper.ts";
import { SwitchOff } from "./switch-off.ts";

const commandId = "cut_1.switch-off.1";
const wanted = { ownerId: "cut_1", term: 2 };
let dataDir: string;
let fence: { term: number; isUp: boolean };
let events: string[];
let afterAnswer: AfterAnswer;
let agent: SwitchOff;
/** Why the machine refuses. */
let refusal: Error | undefined;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "causeway-switch-off-"));
  fence = { term: 2, isUp: true };
  events = [];
  start();
  refusal = undefined;
  return () => rm(dataDir, { recursive: true });
});

/** What an earlier agent had in memory is lost. */
function start(): void {
  afterAnswer = new AfterAnswer();
  agent = new SwitchOff({
    ...{ dataDir, afterAnswer },
    fence: { read: async () => FenceState.parse(fence) },
    switchOff: async () => {
      if (refusal) throw refusal;
      events.push("off");
    },
  });
}

async function restart(): Promise<void> {
  start();
  await agent.resume(async (id, error) => {
    events.push(`${id} retracted: ${(error as Error).message}`);
  });
}

function switchOff(signal?: AbortSignal) {
  const retract = async (error: unknown) => {
    events.push(`retracted: ${(error as Error).message}`);
  };
  const context = executionContext({ commandId, ...(signal ? { signal } : {}) });
  return agent.executor(wanted, { ...context, retract });
}

/** What follows the acknowledgement. */
async function acknowledge(): Promise<string[]> {
  afterAnswer.acknowledged(commandId);
  await sleep(50);
  return events;
}

test("a fenced source shuts down once its answer is acknowledged, and not before", async () => {
  expect(await switchOff()).toEqual({});
  expect(events).toEqual([]);
  expect(await acknowledge()).toEqual(["off"]);
});

test.each([
  ["is not fenced", { term: 2, isUp: false }],
  ["is fenced for a later lease", { term: 3, isUp: true }],
  ["was fenced for an earlier lease only", { term: 1, isUp: true }],
])("a source that %s stays on", async (_, other) => {
  fence = other;
  await expect(switchOff()).rejects.toMatchObject({ name: "WrongStateError" });
  expect(await acknowledge()).toEqual([]);
});

test("a source whose fence a person broke after the answer stays on, and takes its answer back", async () => {
  await switchOff();
  fence = { term: 2, isUp: false };
  expect(await acknowledge()).toEqual([expect.stringContaining("retracted: the source is not fenced")]);
});

test("a source that cannot be switched off takes its answer back", async () => {
  refusal = new Error("access denied");
  await switchOff();
  expect(await acknowledge()).toEqual(["retracted: access denied"]);
});

test("a source whose agent is restarted after its answer shuts down, and then no more", async () => {
  await switchOff();
  await restart();
  expect(events).toEqual([]);
  expect(await acknowledge()).toEqual(["off"]);
  await restart();
  expect(await acknowledge()).toEqual(["off"]);
});

test("a source that cannot be switched off after a restart of its agent takes its answer back", async () => {
  await switchOff();
  await restart();
  fence = { term: 3, isUp: true };
  expect(await acknowledge()).toEqual([
    expect.stringContaining(`${commandId} retracted: the source is not fenced`),
  ]);
});

test("a switching off that is cancelled is forgotten, also by the next agent", async () => {
  await switchOff();
  await agent.cancelled("cut_1.switch-off.2");
  await agent.cancelled(commandId);
  await restart();
  expect(await acknowledge()).toEqual([]);
  await expect(switchOff(AbortSignal.abort())).rejects.toThrow();
  await restart();
  expect(await acknowledge()).toEqual([]);
});
