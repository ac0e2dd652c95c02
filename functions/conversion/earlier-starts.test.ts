import { beforeEach, expect, test } from "vitest";
import type { AgentRecord } from "#shared/domain/agent.ts";
import { aConversion, aSource } from "#shared/domain/testing/records.ts";
import { run } from "../ingest/agent-events.ts";
import { World } from "../testing/world.ts";
import { type DispatchRequest, dispatch } from "./dispatch.ts";

const startedByHand = {
  enrolledFrom: "boot-environment",
  environment: "boot-environment",
  approvedPorts: ["52:54:00:ca:05:e1"],
} satisfies Partial<AgentRecord>;

let world: World;

beforeEach(async () => {
  world = await World.start();
  const presence = { state: "disconnected" as const, at: 1 };
  await world.enrolled({ source: { ...startedByHand, presence, heldBy: "cnv_1" } });
  await world.store.conversions.add(aConversion({ type: "manual-cold" }));
});

/** The workflow asks for a capture. */
function ask(taskToken: string): Promise<{ commandId?: string }> {
  world.steps.waiting.add(taskToken);
  const request: DispatchRequest = {
    ...{ ownerId: "cnv_1", agentId: "agt_source", kind: "capture-disk", label: "vda" },
    ...{ round: 1, input: {}, taskToken },
  };
  return dispatch(request, world);
}

/** The machine was started by hand again and approved, and its agent connects. */
async function startedAgain(change: Partial<AgentRecord> = {}): Promise<void> {
  const enrolledAt = "2030-01-01T01:00:00.000Z";
  const again = { id: "agt_again", certificateId: "e".repeat(64), enrolledAt };
  await world.store.agents.add(aSource({ ...startedByHand, ...again, ...change }));
  await calls();
}
const calls = () =>
  run(
    {
      agentId: "agt_again",
      event: {
        ...{ type: "agent-connected", at: "2030-01-01T01:00:01.000Z" },
        ...{ agentVersion: "1", environment: "boot-environment" },
      },
    },
    world,
  );

test("when a machine is started by hand again, its earlier commands fail with the reason", async () => {
  const { commandId = "" } = await ask("token");
  await startedAgain();
  const failure = { name: "BootEnvironmentLeftError" };
  expect(world.steps.outcomes.get("token")).toMatchObject({ failure });
  expect(await world.store.commands.find(commandId)).toMatchObject({ state: "failed", failure });
  expect((await world.store.agents.get("agt_source")).restartedAs).toBe("agt_again");
});

test("a later request to the lost identity fails at once, too", async () => {
  await startedAgain();
  await ask("token");
  expect(world.steps.outcomes.get("token")).toMatchObject({ failure: { name: "BootEnvironmentLeftError" } });
  expect(world.agents.commandsFor("agt_source")).toEqual([]);
});

test("after an interruption behind the mark, the next connect ends the remaining commands", async () => {
  await ask("token");
  world.outage.strike("fail");
  await expect(startedAgain()).rejects.toThrow("outage");
  await calls();
  expect(world.steps.outcomes.has("token")).toBe(true);
});

test("an agent in the original system of a machine with the same ports ends none of its commands", async () => {
  await ask("token");
  await startedAgain({ enrolledFrom: "original" });
  expect(world.steps.outcomes.has("token")).toBe(false);
  expect((await world.store.agents.get("agt_source")).restartedAs).toBeUndefined();
});
