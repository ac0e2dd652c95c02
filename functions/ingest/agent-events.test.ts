import { beforeEach, describe, expect, test } from "vitest";
import { aConversion, aDisk, anInventory } from "#shared/domain/testing/records.ts";
import { DiskNotFoundError, failureOf } from "#shared/errors.ts";
import { dispatch } from "../conversion/dispatch.ts";
import * as preflight from "../tasks/check-preflight.ts";
import { interruptNextSave } from "../testing/interrupt-save.ts";
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

/** The workflow asks the target to verify. */
async function ask(taskToken: string): Promise<void> {
  world.steps.waiting.add(taskToken);
  const request = {
    ownerId: "cnv_1",
    agentId: "agt_target",
    kind: "verify" as const,
    round: 1,
    input: {},
  };
  await dispatch({ ...request, taskToken }, world);
}

const at = (second: number) => new Date(Date.UTC(2030, 0, 1, 0, 0, second)).toISOString();
/** The input as the topic rule passes it on. */
const event = (fields: object, agentId = "agt_target") =>
  run({ agentId, event: { commandId: ID, at: at(1), ...fields } }, world);
const progress = (bytesDone: number, second: number) =>
  event({
    type: "command-progressed",
    at: at(second),
    progress: { bytesDone, bytesTotal: 10, rateBytesPerSecond: 1 },
  });
const success = (fields: object = {}) => event({ type: "command-succeeded", output: OUTPUT, ...fields });
const command = () => world.store.commands.find(ID);

test("progress is recorded and keeps the step alive", async () => {
  await progress(5, 1);
  expect(await command()).toMatchObject({ state: "running", progress: { bytesDone: 5 } });
  expect(world.steps.heartbeats).toEqual(["token"]);
});

test("late progress does not replace newer progress, but keeps the step alive", async () => {
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
  expect(await world.store.commands.pending("agt_target")).toEqual([]);
});

test("a failure ends the step with its name", async () => {
  const failure = failureOf(new DiskNotFoundError("vdz"));
  await event({ type: "command-failed", failure });
  expect(world.steps.outcomes.get("token")).toEqual({ failure });
  expect(await command()).toMatchObject({ state: "failed", failure });
});

const answers = () => world.agents.messagesFor("agt_target").filter((one) => !one.startsWith("command"));

test("the same success twice, and progress after it, change nothing", async () => {
  await success();
  const before = await command();
  await success();
  await progress(5, 3);
  expect(await command()).toEqual(before);
});

test("an agent that repeats a result is answered once in a minute", async () => {
  for (let minute = 1; minute <= 3; minute++) {
    for (let sent = 0; sent < 20; sent++) {
      await success();
      await progress(5, sent);
    }
    expect(answers()).toEqual(Array(minute).fill(`acknowledge ${ID}`));
    world.nowMs += 60_000;
  }
});

test("an agent that works on a cancelled command gets the cancellation at once, again at its result, and then once a minute", async () => {
  await world.store.commands.modify(ID, (current) => ({ ...current, state: "cancelled" }));
  await progress(5, 1);
  await progress(5, 2);
  expect(answers()).toEqual([`cancel ${ID}`]);
  for (let sent = 0; sent < 20; sent++) {
    await success();
    await progress(5, 3);
  }
  expect(answers()).toEqual([`cancel ${ID}`, `cancel ${ID}`]);
  world.nowMs += 60_000;
  await progress(5, 4);
  expect(answers()).toHaveLength(3);
});

test("if the first event is interrupted before its answer is recorded, the repeated event is answered again", async () => {
  const { commands } = world.store;
  const modify = commands.modify.bind(commands);
  commands.modify = () => Promise.reject(new Error("killed"));
  await expect(success()).rejects.toThrow("killed");
  commands.modify = modify;
  await success();
  expect(answers()).toEqual(Array(2).fill(`acknowledge ${ID}`));
});

test("a failure after the success does not undo it", async () => {
  await success();
  await event({ type: "command-failed", failure: failureOf(new Error("late")) });
  expect((await command())?.state).toBe("succeeded");
});

test("a result for a step that no longer waits is kept for the step that asks again", async () => {
  world.steps.waiting.clear();
  await success();
  expect((await command())?.state).toBe("succeeded");
  await ask("token-2");
  expect(world.steps.outcomes.get("token-2")).toEqual({ output: OUTPUT });
});

test("a result that arrives while the step asks again reaches the new token", async () => {
  const { commands } = world.store;
  const save = commands.save.bind(commands);
  commands.save = async (one) => {
    // The heartbeat times out between the result for the workflow and the write.
    commands.save = save;
    world.steps.waiting.delete("token");
    await ask("token-2");
    return save(one);
  };
  await success();
  expect(world.steps.outcomes.get("token-2")).toEqual({ output: OUTPUT });
  expect((await command())?.state).toBe("succeeded");
});

test("if the event is interrupted after the workflow got the result, the repeated event completes the rest", async () => {
  interruptNextSave(world.store);
  await expect(success()).rejects.toThrow("killed");
  await success();
  expect((await command())?.state).toBe("succeeded");
  expect(world.agents.messagesFor("agt_target").at(-1)).toBe(`acknowledge ${ID}`);
});

test("an output that does not match the command's schema fails the step", async () => {
  await success({ output: { bytesVerified: "lots" } });
  expect(world.steps.outcomes.get("token")).toMatchObject({ failure: { name: "UnknownCommandError" } });
  expect((await command())?.state).toBe("failed");
});

/** The audit's entries for refused events: actor, subject, reason and count. */
async function refusals() {
  const { items } = await world.store.audit.page({ limit: 200 });
  return items.map(({ actor, subject, details, count }) => [actor, subject, details?.reason, count]);
}

test.each([
  ["another agent's command", "agt_source", ID, "another agent's command"],
  ["a command that does not exist", "agt_target", "cnv_1.verify.9", "unknown command"],
  ["something that is not a command id", "agt_target", "nonsense", "unknown command"],
])("an event about %s is refused and audited", async (_, agentId, commandId, reason) => {
  await event({ type: "command-succeeded", output: OUTPUT, commandId }, agentId);
  await event({ type: "command-progressed", commandId }, agentId);
  expect(world.steps.outcomes.size + world.steps.heartbeats.length).toBe(0);
  expect(await refusals()).toEqual([[agentId, commandId, reason, 2]]);
});

const LONG = "x".repeat(3000);

/** Objects in objects, as JSON. */
const nested = (levels: number) => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);
const failedWith = (details: unknown) => ({
  type: "command-failed",
  failure: { ...failureOf(new DiskNotFoundError("vdz")), details },
});

test.each<[string, object]>([
  ["with a number that is too large for the table", failedWith({ n: 1e300 })],
  ["with a number that is too small for the table", failedWith({ n: 5e-324 })],
  ["with a field that would become a prototype", failedWith(JSON.parse('{"__proto__": {"a": 1}}'))],
  ["that nests deeper than the table keeps", failedWith(nested(40))],
  ["that nests deeper than the stack is", failedWith(nested(20_000))],
  [
    "with progress that is too fast for the table",
    { type: "command-progressed", progress: { bytesDone: 1, bytesTotal: 1, rateBytesPerSecond: 1e300 } },
  ],
  [
    "with an output that is too large for the table",
    { type: "command-succeeded", output: { seconds: 1e300 } },
  ],
  ["of an unknown type", { type: "agent-exploded" }],
  ["without its fields", { type: "command-failed" }],
  ["with a command id that is too long for a key", { type: "command-succeeded", commandId: LONG }],
  ["that names another agent", { type: "command-succeeded", output: OUTPUT, agentId: "agt_source" }],
  ["that names its own agent", { type: "command-succeeded", output: OUTPUT, agentId: "agt_target" }],
])("an event %s is audited and not retried", async (_, fields) => {
  await event(fields);
  expect(await refusals()).toEqual([["agt_target", "agt_target", "malformed", 1]]);
  expect(world.steps.outcomes.size).toBe(0);
});

test("input that is not an object, or has no valid agent id, is audited under an unknown agent", async () => {
  const forged = { commandId: ID, at: at(1), type: "command-succeeded", output: OUTPUT };
  for (const input of ["garbage", null, { event: forged }, { agentId: LONG, event: forged }])
    await run(input, world);
  expect(await refusals()).toEqual([["unknown-agent", "unknown-agent", "malformed", 4]]);
});

test("an event next to a forged agent id is refused, whichever value a rule with `*` would choose", async () => {
  const payload = {
    commandId: ID,
    at: at(1),
    type: "command-succeeded",
    output: OUTPUT,
    agentId: "agt_target",
  };
  const fromTopic = { agentId: "agt_source" };
  await run({ ...payload, ...fromTopic }, world);
  await run({ ...fromTopic, ...payload }, world);
  expect(world.steps.outcomes.size).toBe(0);
  expect((await command())?.state).toBe("pending");
  expect((await refusals()).map(([, , reason]) => reason)).toEqual(["malformed", "malformed"]);
});

test("a flood of refused events makes one entry for each agent, reason and hour", async () => {
  for (let sent = 0; sent < 30; sent++) {
    await event({ type: `unheard-of-${sent}`, noise: LONG });
    await event({ type: "command-progressed", commandId: `guess-${sent}` });
  }
  expect(await refusals()).toEqual(
    expect.arrayContaining([
      ["agt_target", "agt_target", "malformed", 30],
      ["agt_target", "guess-0", "unknown command", 30],
    ]),
  );
  world.nowMs += 3_600_000;
  await event({ type: "unheard-of" });
  expect(await refusals()).toHaveLength(3);
});

test("events of a revoked agent are refused", async () => {
  await world.store.agents.modify("agt_target", (agent) => ({ ...agent, revokedAt: at(0) }));
  await success();
  expect((await command())?.state).toBe("pending");
});

test("an agent that connects gets its unfinished commands, and its inventory is stored", async () => {
  const inventory = anInventory({ hostname: "oak-2" });
  await event({ type: "agent-connected", agentVersion: "1.2.3", inventory });
  expect(world.agents.messagesFor("agt_target")).toEqual([`command ${ID}`, `command ${ID}`]);
  expect(await world.store.agents.get("agt_target")).toMatchObject({
    agentVersion: "1.2.3",
    inventory: { hostname: "oak-2" },
  });
});

test("an agent that still works on a cancelled command gets the cancellation again", async () => {
  await world.store.commands.modify(ID, (current) => ({ ...current, state: "cancelled" }));
  await progress(5, 1);
  expect(world.agents.messagesFor("agt_target").at(-1)).toBe(`cancel ${ID}`);
  expect(world.steps.heartbeats).toEqual([]);
});

describe("a captured disk", () => {
  const CAPTURE = "cnv_1.capture-disk.vda.1";
  const sizeBytes = 64 * 1024 * 1024;
  const output = {
    ...{ disk: { name: "vda", sizeBytes, mapRoot: "root" }, bytesRead: 1, bytesStored: 1, badRanges: 0 },
    ...{ consistency: "file-system", wholeCopies: [], seconds: 1, bottleneck: "read" },
  };
  const captured = (disk: object) =>
    event(
      {
        ...{ commandId: CAPTURE, type: "command-succeeded" },
        output: { ...output, disk: { ...output.disk, ...disk } },
      },
      "agt_source",
    );
  const outcome = () => world.steps.outcomes.get("capture");

  beforeEach(async () => {
    const holds = { heldBy: "cnv_1" };
    await world.store.agents.modify("agt_source", (agent) => ({ ...agent, ...holds }));
    await preflight.run({ conversionId: "cnv_1" }, world);
    world.steps.waiting.add("capture");
    const kind = "capture-disk" as const;
    const request = { ownerId: "cnv_1", agentId: "agt_source", kind, label: "vda", round: 1, input: {} };
    await dispatch({ ...request, taskToken: "capture" }, world);
  });

  test("with the size that preflight checked is accepted", async () => {
    await captured({});
    expect(outcome()).toEqual({ output });
  });

  test.each([{ sizeBytes: 2 ** 50 }, { sizeBytes: sizeBytes - 512 }, { name: "vdb" }])(
    "of another size or name fails the step, before a point can name it: %j",
    async (disk) => {
      await captured(disk);
      expect(outcome()).toMatchObject({ failure: { name: "CapturedDiskUnexpectedError", retryable: false } });
      expect(await world.store.commands.find(CAPTURE)).toMatchObject({ state: "failed" });
    },
  );

  test("is compared with what preflight checked, not with an inventory that the source sends later", async () => {
    const inventory = anInventory({ disks: [aDisk("vda", { sizeBytes: 2 ** 50 })] });
    await world.store.agents.modify("agt_source", (agent) => ({ ...agent, inventory }));
    await preflight.run({ conversionId: "cnv_1" }, world);
    await captured({ sizeBytes: 2 ** 50 });
    expect(outcome()).toMatchObject({ failure: { name: "CapturedDiskUnexpectedError" } });
  });
});

test("the disks of a recovery point are compared with what preflight checked, all of them and no other", async () => {
  const holds = { heldBy: "cnv_1" };
  await world.store.agents.modify("agt_source", (agent) => ({ ...agent, ...holds }));
  await preflight.run({ conversionId: "cnv_1" }, world);
  const kind = "take-recovery-point" as const;
  const input = { ownerId: "cnv_1", pointId: "rp_1", disks: ["vda"], allBlocks: false };
  const vda = {
    ...{ name: "vda", sizeBytes: 64 * 1024 * 1024, bytesRead: 1, bytesStored: 1, changedBytes: 1 },
    ...{ badRanges: 0, consistency: "crash", wholeCopies: [], seconds: 1, bottleneck: "read" },
    ...{
      mode: "hash-scan",
      modeReason: "this is its first copy",
      view: "still",
      viewReason: "unused",
      trackerDisagreements: 0,
    },
  };
  const cases = [
    [[{ ...vda, sizeBytes: 2 ** 50 }], "CapturedDiskUnexpectedError"],
    [[vda, { ...vda, name: "vdb" }], "CapturedDiskUnexpectedError"],
    [[{ ...vda, name: "vdb" }], "CapturedDiskUnexpectedError"],
    [[vda], undefined],
  ] as const;
  for (const [at, [disks, error]] of cases.entries()) {
    const taskToken = `take ${at}`;
    world.steps.waiting.add(taskToken);
    const request = { ownerId: "cnv_1", agentId: "agt_source", kind, round: 1, input };
    const { commandId } = await dispatch({ ...request, taskToken }, world);
    const output = { pointId: "rp_1", disks, freezeMilliseconds: 0, requests: 5 };
    await event({ commandId: String(commandId), type: "command-succeeded", output }, "agt_source");
    const outcome = world.steps.outcomes.get(taskToken);
    if (error) expect(outcome).toMatchObject({ failure: { name: error } });
    else expect(outcome).toEqual({ output });
  }
});
