import { beforeEach, expect, test } from "vitest";
import { AfterAnswer } from "../commands/after-answer.ts";
import { executionContext } from "../commands/testing/execution-context.ts";
import { FenceState } from "./fence-keeper.ts";
import { switchOffExecutor } from "./switch-off.ts";

const wanted = { ownerId: "cut_1", term: 2 };
let fence: { term: number; isUp: boolean };
let events: string[];
let afterAnswer: AfterAnswer;
/** Why the machine refuses. */
let refusal: Error | undefined;

beforeEach(() => {
  fence = { term: 2, isUp: true };
  events = [];
  afterAnswer = new AfterAnswer();
  refusal = undefined;
});

function switchOff() {
  const executor = switchOffExecutor({
    fence: { read: async () => FenceState.parse(fence) },
    afterAnswer,
    switchOff: async () => {
      if (refusal) throw refusal;
      events.push("off");
    },
  });
  const retract = async (error: unknown) => {
    events.push(`retracted: ${(error as Error).message}`);
  };
  return executor(wanted, { ...executionContext({ commandId: "c1" }), retract });
}

/** What follows the acknowledgement. */
async function acknowledge(): Promise<string[]> {
  afterAnswer.acknowledged("c1");
  await new Promise((resolve) => setImmediate(resolve));
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
