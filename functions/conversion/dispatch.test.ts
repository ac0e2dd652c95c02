import { beforeEach, expect, test } from "vitest";
import { succeeded } from "#shared/domain/command.ts";
import { aConversion } from "#shared/domain/testing/records.ts";
import { ConversionCancelledError, ForbiddenError, failureOf, InvalidInputError } from "#shared/errors.ts";
import { Input, run } from "../tasks/dispatch-command.ts";
import { World } from "../testing/world.ts";
import { commandEnded } from "./command-events.ts";

const ID = "cnv_1.capture-disk.vda.1";
let world: World;

beforeEach(async () => {
  world = await World.start();
  await world.enrolled();
  await world.store.conversions.add(aConversion());
});

/** A request of the workflow with a waiting token. */
function ask(taskToken: string, change: object = {}) {
  world.steps.waiting.add(taskToken);
  const input = { conversionId: "cnv_1", pointId: "rp_1", disk: "vda" };
  const request = {
    ownerId: "cnv_1",
    agentId: "agt_source",
    kind: "capture-disk",
    disk: "vda",
    input,
    taskToken,
  };
  return run(Input.parse({ ...request, ...change }), world);
}

/** The agent's answer as it arrives. */
function agentFails(commandId: string) {
  const failure = failureOf(new Error("power cut"));
  return commandEnded(
    "agt_source",
    { type: "command-failed", commandId, at: "2030-01-01T00:00:01.000Z", failure },
    world,
  );
}

test("a step becomes a command for the agent, which names the requesting operator", async () => {
  expect(await ask("token-1")).toEqual({ commandId: ID });
  expect(world.agents.commandsFor("agt_source")).toEqual([
    {
      type: "command",
      environment: "original",
      commandId: ID,
      kind: "capture-disk",
      input: { conversionId: "cnv_1", pointId: "rp_1", disk: "vda" },
      requestedBy: "ada",
      issuedAt: "2030-01-01T00:00:00.000Z",
    },
  ]);
  expect(await world.store.commands.pending("agt_source")).toMatchObject([{ id: ID, state: "pending" }]);
});

test("an agent gets its unfinished commands in the order of the requests", async () => {
  const of = (disk: string) => ({ disk, input: { conversionId: "cnv_1", pointId: "rp_1", disk } });
  await ask("token-1", of("vdb"));
  world.nowMs += 1000;
  await ask("token-2", of("vda"));
  const pending = await world.store.commands.pending("agt_source");
  expect(pending.map(({ label }) => label)).toEqual(["vdb", "vda"]);
});

test("a machine that was started by hand gets its commands in the boot environment", async () => {
  const enrolledFrom = "boot-environment" as const;
  await world.store.agents.modify("agt_source", (source) => ({ ...source, enrolledFrom }));
  await ask("token-1");
  expect(world.agents.commandsFor("agt_source")).toMatchObject([{ environment: "boot-environment" }]);
});

test("after a time-out, the step's command is sent again, and only its new token counts", async () => {
  await ask("token-1");
  await ask("token-2");
  expect(world.agents.messagesFor("agt_source")).toEqual([`command ${ID}`, `command ${ID}`]);
  await agentFails(ID);
  expect(world.steps.outcomes.has("token-2")).toBe(true);
});

test("after a failure, the next command has a new id", async () => {
  await ask("token-1");
  await agentFails(ID);
  expect(await ask("token-2")).toEqual({ commandId: "cnv_1.capture-disk.vda.2" });
});

test("work that finished while no step waited is answered at once and not repeated", async () => {
  await ask("token-1");
  const output = { done: true };
  await world.store.commands.modify(ID, (command) => succeeded(command, output, "2030-01-01T00:00:01.000Z"));
  await ask("token-2");
  expect(world.steps.outcomes.get("token-2")).toEqual({ output });
  expect(world.agents.messagesFor("agt_source")).toHaveLength(1);
});

test("if the broker does not answer, the agent gets the command when it connects", async () => {
  world.outage.strike("send");
  await ask("token-1");
  expect(world.logged).toMatchObject([{ level: "warn", message: "message to agent not sent" }]);
  expect(await world.store.commands.pending("agt_source")).toHaveLength(1);
});

test("if KMS does not sign, the step fails, and asking again sends the same command", async () => {
  world.outage.strike("sign");
  await expect(ask("token-1")).rejects.toThrow("outage of sign");
  expect(world.agents.sent).toEqual([]);
  expect(await ask("token-2")).toEqual({ commandId: ID });
  expect(world.agents.messagesFor("agt_source")).toEqual([`command ${ID}`]);
});

test("a command that has waited days for its agent gets a new signature when it is sent", async () => {
  world.outage.strike("send");
  await ask("token-1");
  world.nowMs += 3 * 86_400_000;
  await ask("token-2");
  // The agents in this test refuse expired messages.
  expect(world.agents.messagesFor("agt_source")).toEqual([`command ${ID}`]);
});

test.each(["cancelling", "cancelled"] as const)(
  "nothing is sent for a conversion that is %s",
  async (state) => {
    await world.store.conversions.modify("cnv_1", (conversion) => ({ ...conversion, state }));
    await expect(ask("token-1")).rejects.toThrow(ConversionCancelledError);
    expect(world.agents.sent).toEqual([]);
  },
);

test("a cancellation that arrives while a command is being written still reaches the command", async () => {
  const { conversions, commands } = world.store;
  const save = commands.save.bind(commands);
  // The operator cancels right after dispatch has read the conversion, and sees no command yet.
  commands.save = async (command) => {
    await conversions.modify("cnv_1", (conversion) => ({ ...conversion, state: "cancelling" }));
    return save(command);
  };
  await expect(ask("token-1")).rejects.toThrow(ConversionCancelledError);
  expect((await commands.find(ID))?.state).toBe("cancelled");
  expect(world.agents.commandsFor("agt_source")).toEqual([]);
});

test("a revoked agent gets no command", async () => {
  const revokedAt = "2030-01-01T00:00:00.000Z";
  await world.store.agents.modify("agt_source", (agent) => ({ ...agent, revokedAt }));
  await expect(ask("token-1")).rejects.toThrow(ForbiddenError);
});

test("input that the agent could not read is refused here", async () => {
  await expect(ask("token-1", { input: { pointId: 7 } })).rejects.toThrow(InvalidInputError);
  expect(await world.store.commands.pending("agt_source")).toEqual([]);
});
