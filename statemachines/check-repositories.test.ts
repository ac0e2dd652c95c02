import { expect, test } from "vitest";
import { HandlerError, ROLE, World } from "#local/states/testing/states-world.ts";
import type { Dispatched } from "./testing/conversion-run.ts";
import { WorkflowFile, workflowArn } from "./testing/workflow-file.ts";

interface Begin {
  executionName: string;
  startedAt: string;
  sourceId: string;
  whole: boolean;
}
interface Ended {
  checkId: string;
  found?: object;
  error?: { Error: string; Cause: string };
}

const FOUND = { points: [{ pointId: "rp_1", verdict: "sound" }], problems: [], bytesRead: 8, seconds: 1 };

/** Runs the workflow over two sources, of which the second has no points. */
class CheckRun {
  readonly begun: Begin[] = [];
  readonly dispatched: Dispatched[] = [];
  readonly ended: Ended[] = [];
  readonly world: World;
  readonly #arn: string;

  constructor(
    act: (command: Dispatched, world: World) => void,
    { begin, input = { whole: false } }: { begin?: () => never; input?: object } = {},
  ) {
    this.world = new World({
      ListRepositories: () => ({ sourceIds: ["agt_1", "agt_2"] }),
      BeginCheck: (asked: Begin) => {
        this.begun.push(asked);
        if (asked.sourceId === "agt_2") return {};
        begin?.();
        const { sourceId, whole } = asked;
        return { check: { checkId: "chk_1", targetId: "agt_target", sourceId, pointIds: ["rp_1"], whole } };
      },
      DispatchCommand: (command: Dispatched) => {
        this.dispatched.push(command);
        act(command, this.world);
        return {};
      },
      EndCheck: (ended: Ended) => void this.ended.push(ended),
    });
    const definition = new WorkflowFile("check-repositories").runnable();
    this.world.engine.putMachine({ name: "check-repositories", definition, roleArn: ROLE });
    const stateMachineArn = workflowArn("check-repositories");
    const started = this.world.engine.startExecution({
      ...{ stateMachineArn, name: "chk-run", input: JSON.stringify(input) },
    });
    this.#arn = started.arn;
  }

  /** Longer than all retries take. */
  async end(): Promise<this> {
    for (let minute = 0; minute < 60; minute++) await this.world.clock.advance(60_000);
    expect(this.world.result(this.#arn)).toMatchObject({ status: "SUCCEEDED" });
    return this;
  }
}

const succeed = ({ taskToken }: Dispatched, { engine }: World) =>
  engine.sendTaskSuccess(taskToken, JSON.stringify(FOUND));
const silent = () => {};

test("the target host checks the points of each source that has some, and what it found is recorded", async () => {
  const { begun, dispatched, ended } = await new CheckRun(succeed).end();
  expect(begun.map(({ sourceId, whole }) => [sourceId, whole]).sort()).toEqual([
    ["agt_1", false],
    ["agt_2", false],
  ]);
  expect(begun[0]).toMatchObject({
    executionName: "chk-run",
    startedAt: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  const input = { ownerId: "chk_1", sourceId: "agt_1", pointIds: ["rp_1"], whole: false };
  expect(dispatched).toMatchObject([
    { ownerId: "chk_1", agentId: "agt_target", kind: "check-repository", input },
  ]);
  expect(ended).toEqual([{ checkId: "chk_1", found: FOUND }]);
});

test("one source and a whole check are passed on", async () => {
  const run = await new CheckRun(succeed, { input: { sourceId: "agt_1", whole: true } }).end();
  expect(run.world.payloads("ListRepositories")).toEqual([{ sourceId: "agt_1" }]);
  expect(run.dispatched[0]?.input).toMatchObject({ whole: true });
});

test("a target host that stays silent is asked again, then its check is given up", async () => {
  const { dispatched, ended } = await new CheckRun(silent).end();
  expect(dispatched).toHaveLength(11);
  expect(ended).toMatchObject([{ checkId: "chk_1", error: { Error: "States.HeartbeatTimeout" } }]);
});

test("a target host that fails gives the check up with its error", async () => {
  const { ended } = await new CheckRun(({ taskToken }, { engine }) =>
    engine.sendTaskFailure(taskToken, { error: "UnknownCommandError", cause: "{}" }),
  ).end();
  expect(ended).toMatchObject([{ checkId: "chk_1", error: { Error: "UnknownCommandError" } }]);
});

test("a check that cannot begin does not stop the others", async () => {
  const begin = (): never => {
    throw new HandlerError("Error", "the table is away");
  };
  const { begun, ended } = await new CheckRun(succeed, { begin }).end();
  expect(begun.map(({ sourceId }) => sourceId).sort()).toEqual(["agt_1", "agt_2"]);
  expect(ended).toEqual([]);
});
