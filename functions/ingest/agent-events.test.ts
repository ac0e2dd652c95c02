import { beforeEach, expect, test } from "vitest";
import { aConversion, anInventory } from "#shared/domain/testing/records.ts";
import { DiskNotFoundError, failureOf } from "#shared/errors.ts";
import { dispatch } from "../conversion/dispatch.ts";
import { World } from "../testing/world.ts";
import { run } from "./agent-events.ts";

const ID = "cnv_1.verify.1";
const OUTPUT = { bytesVerified: 7, seconds: 1 };
let world: World;

beforeEach(async () => {
  world = await World.start();
  await world.enrolled();
  await world.store.conversions.add(aConversion());
  await ask("token");
});

/** Verification, asked of the target. */
async function ask(taskToken: string): Promise<void> {
  world.steps.waiting.add(taskToken);
  const request = {
    conversionId: "cnv_1",
    agentId: "agt_target",
    kind: "verify" as const,
    round: 1,
    input: {},
  };
  await dispatch({ ...request, taskToken }, world);
}

const at = (second: number) => new Date(Date.UTC(2030, 0, 1, 0, 0, second)).toISOString();
const event = (fields: object, agentId = "agt_target") =>
  run({ commandId: ID, at: at(1), agentId, ...fields }, world);
const progress = (bytesDone: number, second: number) =>
  event({
    type: "command-progressed",
    at: at(second),
    progress: { bytesDone, bytesTotal: 10, rateBytesPerSecond: 1 },
  });
const success = (fields: object = {}) => event({ type: "command-succeeded", output: OUTPUT, ...fields });
const command = () => world.store.conversions.findCommand(ID);

test("progress is noted and keeps the step alive", async () => {
  await progress(5, 1);
  expect(await command()).toMatchObject({ state: "running", progress: { bytesDone: 5 } });
  expect(world.steps.heartbeats).toEqual(["token"]);
});

test("late progress does not turn the clock back, but proves life", async () => {
  await progress(5, 2);
  await progress(3, 1);
  expect((await command())?.progress?.bytesDone).toBe(5);
  expect(world.steps.heartbeats).toHaveLength(2);
});

test("success ends the step with its output, and the agent may forget it", async () => {
  await success();
  expect(world.steps.outcomes.get("token")).toEqual({ output: OUTPUT });
  expect(await command()).toMatchObject({ state: "succeeded", output: OUTPUT });
  expect(world.agents.messagesFor("agt_target").at(-1)).toBe(`acknowledge ${ID}`);
  expect(await world.store.conversions.pendingCommands("agt_target")).toEqual([]);
});

test("a failure ends the step by its name", async () => {
  const failure = failureOf(new DiskNotFoundError("vdz"));
  await event({ type: "command-failed", failure });
  expect(world.steps.outcomes.get("token")).toEqual({ failure });
  expect(await command()).toMatchObject({ state: "failed", failure });
});

test("the same success twice, and progress after it, change nothing; each success is acknowledged", async () => {
  await success();
  const before = await command();
  await success();
  await progress(5, 3);
  expect(await command()).toEqual(before);
  expect(world.agents.messagesFor("agt_target").filter((one) => one.startsWith("acknowledge"))).toHaveLength(
    2,
  );
});

test("a failure after the success does not undo it", async () => {
  await success();
  await event({ type: "command-failed", failure: failureOf(new Error("late")) });
  expect((await command())?.state).toBe("succeeded");
});

test("a result for a step that waits no more is kept for the step that asks again", async () => {
  world.steps.waiting.clear();
  await success();
  expect((await command())?.state).toBe("succeeded");
  await ask("token-2");
  expect(world.steps.outcomes.get("token-2")).toEqual({ output: OUTPUT });
});

test("a result that meets the step asking again reaches the new token", async () => {
  const { conversions } = world.store;
  const save = conversions.saveCommand.bind(conversions);
  conversions.saveCommand = async (one) => {
    // The heartbeat has run out between our word to the workflow and our write.
    conversions.saveCommand = save;
    world.steps.waiting.delete("token");
    await ask("token-2");
    return save(one);
  };
  await success();
  expect(world.steps.outcomes.get("token-2")).toEqual({ output: OUTPUT });
  expect((await command())?.state).toBe("succeeded");
});

test("broken off after the workflow heard it, the repeated event completes the rest", async () => {
  const { conversions } = world.store;
  const save = conversions.saveCommand.bind(conversions);
  conversions.saveCommand = () => {
    conversions.saveCommand = save;
    return Promise.reject(new Error("killed"));
  };
  await expect(success()).rejects.toThrow("killed");
  await success();
  expect((await command())?.state).toBe("succeeded");
  expect(world.agents.messagesFor("agt_target").at(-1)).toBe(`acknowledge ${ID}`);
});

test("an output that is not what the command promises fails the step instead of going on", async () => {
  await success({ output: { bytesVerified: "lots" } });
  expect(world.steps.outcomes.get("token")).toMatchObject({ failure: { name: "UnknownCommandError" } });
  expect((await command())?.state).toBe("failed");
});

test.each([
  ["another agent's command", "agt_source", ID],
  ["a command that does not exist", "agt_target", "cnv_1.verify.9"],
  ["something that is no command id", "agt_target", "nonsense"],
])("an event about %s is refused and audited", async (_, agentId, commandId) => {
  await event({ type: "command-succeeded", output: OUTPUT, commandId }, agentId);
  await event({ type: "command-progressed", commandId }, agentId);
  expect(world.steps.outcomes.size + world.steps.heartbeats.length).toBe(0);
  expect(await world.audited()).toEqual(Array(2).fill(`${agentId} event-refused ${commandId} refused`));
});

test.each([
  ["of an unknown type", { type: "agent-exploded" }],
  ["without its fields", { type: "command-failed" }],
])("an event %s is audited and not tried again", async (_, fields) => {
  await event(fields);
  expect(await world.audited()).toEqual(["agt_target event-refused agt_target refused"]);
});

test("what is not even an object is audited as nobody's", async () => {
  await run("garbage", world);
  expect(await world.audited()).toEqual(["unknown-agent event-refused unknown-agent refused"]);
});

test("a revoked agent is not listened to", async () => {
  await world.store.agents.modify("agt_target", (agent) => ({ ...agent, revokedAt: at(0) }));
  await success();
  expect((await command())?.state).toBe("pending");
});

test("an agent that connects is sent what it has not finished, and its inventory is remembered", async () => {
  const inventory = anInventory({ hostname: "oak-2" });
  await event({ type: "agent-connected", agentVersion: "1.2.3", inventory });
  expect(world.agents.messagesFor("agt_target")).toEqual([`command ${ID}`, `command ${ID}`]);
  expect(await world.store.agents.get("agt_target")).toMatchObject({
    agentVersion: "1.2.3",
    inventory: { hostname: "oak-2" },
  });
});

test("an agent that works on a cancelled command is told again", async () => {
  await world.store.conversions.modifyCommand(ID, (current) => ({ ...current, state: "cancelled" }));
  await progress(5, 1);
  expect(world.agents.messagesFor("agt_target").at(-1)).toBe(`cancel ${ID}`);
  expect(world.steps.heartbeats).toEqual([]);
});
