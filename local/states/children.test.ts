import { expect, test } from "vitest";
import { PolicyEvaluator } from "#local/iam/policy-evaluator.ts";
import { callback, invoke, ROLE, roles, World } from "./testing/states-world.ts";

const CHILD = "arn:aws:states:local-1:000000000000:stateMachine:child";
const childArn = (name: string) => `arn:aws:states:local-1:000000000000:execution:child:${name}`;

/** A task that starts the machine `child`. */
function startChild(more: object = {}, state: object = { End: true }): object {
  return {
    Type: "Task",
    Resource: "arn:aws:states:::states:startExecution.sync:2",
    Arguments: { StateMachineArn: CHILD, Name: "one", Input: { k: 1 }, ...more },
    ...state,
  };
}

function only(state: object): object {
  return { StartAt: "Only", States: { Only: state } };
}

/** A world with a machine `child`, which by default calls the function `ask`. */
function worldWithChild(child: object = only({ ...callback("ask"), End: true })): World {
  const world = new World({ ask: () => null });
  putChild(world, child);
  return world;
}

function putChild(world: World, definition: object): void {
  const text = JSON.stringify({ QueryLanguage: "JSONata", ...definition });
  world.engine.putMachine({ name: "child", definition: text, roleArn: ROLE });
}

const tokenOf = (world: World) => (world.payloads("ask").at(-1) as { token: string }).token;

async function answer(world: World, output: unknown): Promise<void> {
  await world.engine.sendTaskSuccess(tokenOf(world), JSON.stringify(output));
  await world.settle();
}

test("a task ends with the execution that it starts, whose input and output are JSON", async () => {
  const world = worldWithChild();
  const arn = await world.start(only(startChild()));
  expect(world.result(arn).status).toBe("RUNNING");
  expect(world.engine.execution(childArn("one"))).toMatchObject({ status: "RUNNING", input: '{"k":1}' });
  await answer(world, { ok: true });
  expect(world.result(arn).output).toEqual({
    ExecutionArn: childArn("one"),
    Input: { k: 1 },
    InputDetails: { Included: true },
    Name: "one",
    Output: { ok: true },
    OutputDetails: { Included: true },
    RedriveCount: 0,
    RedriveStatus: "NOT_REDRIVABLE",
    RedriveStatusReason: "Execution is SUCCEEDED and cannot be redriven",
    StartDate: expect.any(Number),
    StateMachineArn: CHILD,
    Status: "SUCCEEDED",
    StopDate: expect.any(Number),
  });
});

test("its history names the integration, and says when the execution was started", async () => {
  const world = worldWithChild();
  const arn = await world.start(only(startChild()));
  await answer(world, 1);
  const events = world.history(arn).filter(({ type }) => /^Task(?!State)/.test(type));
  expect(events.map(({ type }) => type)).toEqual([
    "TaskScheduled",
    "TaskStarted",
    "TaskSubmitted",
    "TaskSucceeded",
  ]);
  for (const { details } of events) {
    const [named] = Object.values(details);
    expect(named).toMatchObject({ resourceType: "states", resource: "startExecution.sync:2" });
  }
});

test("without a name and an input it starts with a name of its own and an empty input", async () => {
  const world = worldWithChild();
  const task = { ...startChild(), Arguments: { StateMachineArn: CHILD } };
  const arn = await world.start(only(task));
  await answer(world, 1);
  expect(world.result(arn).output).toMatchObject({ Input: {}, Name: expect.stringMatching(/^[\w-]{36}$/) });
});

test.each([
  { status: "FAILED", state: { Type: "Fail", Error: "Boom", Cause: "why" }, Error: "Boom", Cause: "why" },
  {
    status: "FAILED",
    state: { ...callback("ask"), TimeoutSeconds: 5, End: true },
    Error: "States.Timeout",
    Cause: expect.any(String),
  },
])(
  "a child that ends $status fails the task with its description, also by $Error",
  async ({ status, state, ...rest }) => {
    const world = worldWithChild(only(state));
    const arn = await world.start(only(startChild()));
    await world.clock.advance(5000);
    const { error, cause } = world.result(arn);
    expect(error).toBe("States.TaskFailed");
    expect(JSON.parse(cause ?? "")).toMatchObject({
      ...rest,
      Status: status,
      ExecutionArn: childArn("one"),
      Input: '{"k":1}',
    });
  },
);

test("the task fails if its child is stopped from outside or runs out of time", async () => {
  const world = worldWithChild({ ...only({ ...callback("ask"), End: true }), TimeoutSeconds: 60 });
  const stopped = await world.start(only(startChild()), {}, "stopped");
  await world.engine.stopExecution(childArn("one"), { error: "Manual" });
  await world.settle();
  expect(JSON.parse(world.result(stopped).cause ?? "")).toMatchObject({ Status: "ABORTED", Error: "Manual" });
  const late = await world.start(only(startChild({ Name: "two" })), {}, "late");
  await world.clock.advance(60_000);
  expect(JSON.parse(world.result(late).cause ?? "")).toMatchObject({ Status: "TIMED_OUT" });
});

test("a task catches States.TaskFailed, not the child's own error", async () => {
  const world = worldWithChild(only({ Type: "Fail", Error: "Boom", Cause: "why" }));
  const Catch = [
    { ErrorEquals: ["Boom"], Next: "ByName" },
    { ErrorEquals: ["States.TaskFailed"], Next: "AsTaskFailed" },
  ];
  const arn = await world.start({
    StartAt: "Only",
    States: {
      Only: startChild({}, { Catch, End: true }),
      ByName: { Type: "Succeed", Output: "by name" },
      AsTaskFailed: { Type: "Succeed", Output: "as task failed" },
    },
  });
  expect(world.result(arn).output).toBe("as task failed");
});

// --- The same name twice -------------------------------------------------------------------------------------------

test("a task whose execution runs already, with the same input, waits for that one", async () => {
  const world = worldWithChild();
  world.engine.startExecution({ stateMachineArn: CHILD, name: "one", input: '{"k":1}' });
  const arn = await world.start(only(startChild()));
  await answer(world, "shared");
  expect(world.payloads("ask")).toHaveLength(1);
  expect(world.result(arn).output).toMatchObject({ Output: "shared" });
});

test.each([
  ["has other input", '{"k":2}', async () => undefined],
  ["has ended", '{"k":1}', (world: World) => answer(world, 1)],
])("a name whose execution %s fails the task by a name of its own", async (_, input, before) => {
  const world = worldWithChild();
  world.engine.startExecution({ stateMachineArn: CHILD, name: "one", input });
  await world.settle();
  await before(world);
  const arn = await world.start(only(startChild()));
  expect(world.result(arn)).toMatchObject({
    status: "FAILED",
    error: "StepFunctions.ExecutionAlreadyExistsException",
  });
});

test("a machine that is not there, and arguments that are wrong, fail the task", async () => {
  const world = worldWithChild();
  const gone = startChild({ StateMachineArn: CHILD.replace("child", "elsewhere") });
  const missing = await world.start(only(gone), {}, "missing");
  expect(world.result(missing).error).toBe("StepFunctions.StateMachineDoesNotExistException");
  const unnamed = await world.start(only(startChild({ Name: "{% 7 %}" })), {}, "unnamed");
  expect(world.result(unnamed).error).toBe("States.Runtime");
  await expect(world.start(only(startChild({ TraceHeader: "a" })))).rejects.toThrow("TraceHeader");
});

// --- Who goes takes its child along ----------------------------------------------------------------------------------

const ABORTED = { status: "ABORTED", cause: expect.stringMatching(/:machine:run\] which was managing/) };

test("stopping the parent stops its child", async () => {
  const world = worldWithChild();
  const arn = await world.start(only(startChild()));
  await world.engine.stopExecution(arn, {});
  await world.settle();
  expect(world.result(childArn("one"))).toEqual(ABORTED);
});

test.each([
  ["task", { TimeoutSeconds: 30, End: true }, {}],
  ["execution", { End: true }, { TimeoutSeconds: 30 }],
])("a %s that runs out of time stops the child", async (_, state, machine) => {
  const world = worldWithChild();
  const arn = await world.start({ ...only(startChild({}, state)), ...machine });
  await world.clock.advance(30_000);
  expect(world.result(arn).error).toBe("States.Timeout");
  expect(world.result(childArn("one"))).toEqual(ABORTED);
});

test("a branch that fails stops the child of its neighbour", async () => {
  const world = worldWithChild();
  await world.start(
    only({
      Type: "Parallel",
      Branches: [
        { StartAt: "Start", States: { Start: startChild() } },
        {
          StartAt: "Hold",
          States: {
            Hold: { Type: "Wait", Seconds: 1, Next: "Boom" },
            Boom: { Type: "Fail", Error: "Boom", Cause: "" },
          },
        },
      ],
      End: true,
    }),
  );
  await world.clock.advance(1000);
  expect(world.result(childArn("one"))).toEqual(ABORTED);
});

test("children of children are stopped as well", async () => {
  const world = worldWithChild();
  const text = JSON.stringify({ QueryLanguage: "JSONata", ...only(startChild()) });
  const { arn: middle } = world.engine.putMachine({ name: "middle", definition: text, roleArn: ROLE });
  const arn = await world.start(only(startChild({ StateMachineArn: middle, Name: "between" })));
  await world.engine.stopExecution(arn, {});
  await world.settle();
  expect(world.result(middle.replace("stateMachine", "execution").concat(":between")).status).toBe("ABORTED");
  expect(world.result(childArn("one")).status).toBe("ABORTED");
});

// --- Over a restart ------------------------------------------------------------------------------------------------

test("child and parent continue over a restart, and the child is not started twice", async () => {
  const world = worldWithChild();
  const arn = await world.start(only(startChild()));
  await world.reopen();
  await answer(world, "kept");
  expect(world.result(arn).output).toMatchObject({ Output: "kept" });
  expect(world.payloads("ask")).toHaveLength(1);
});

test("if the process ends between a child's last transition and its parent's, the parent still gets the result", async () => {
  const world = worldWithChild();
  const arn = await world.start(only(startChild()));
  const commit = world.store.commit.bind(world.store);
  // The process ends between the child's last transition and the parent's.
  world.store.commit = (transition) => {
    if (transition.execution.arn === arn) throw new Error("the process is about to end");
    commit(transition);
  };
  await answer(world, "heard late");
  expect(world.result(arn).status).toBe("RUNNING");
  await world.reopen();
  expect(world.result(arn).output).toMatchObject({ Output: "heard late" });
});

test("a child that started and ended before its parent noted the start is still its own", async () => {
  const world = worldWithChild(only({ Type: "Pass", Output: "quick", End: true }));
  const commit = world.store.commit.bind(world.store);
  let transitions = 0;
  world.store.commit = (transition) => {
    if (transition.execution.name === "run" && ++transitions > 1) throw new Error("about to end");
    commit(transition);
  };
  const arn = await world.start(only(startChild()));
  expect(world.result(childArn("one")).status).toBe("SUCCEEDED");
  expect(world.result(arn).status).toBe("RUNNING");
  await world.reopen();
  expect(world.result(arn).output).toMatchObject({ Output: "quick" });
});

test("a child whose parent was stopped just before the process ended is stopped at the next start", async () => {
  const world = worldWithChild();
  const arn = await world.start(only(startChild()));
  const commit = world.store.commit.bind(world.store);
  world.store.commit = (transition) => {
    if (transition.execution.arn !== arn) throw new Error("the process is about to end");
    commit(transition);
  };
  await world.engine.stopExecution(arn, {});
  await world.settle();
  expect(world.result(childArn("one")).status).toBe("RUNNING");
  await world.reopen();
  expect(world.result(childArn("one"))).toEqual(ABORTED);
});

// --- Rights ----------------------------------------------------------------------------------------------------------

const RULE = "arn:aws:events:local-1:000000000000:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule";
const rights = {
  start: { Action: "states:StartExecution", Resource: CHILD },
  describe: { Action: "states:DescribeExecution", Resource: childArn("*") },
  stop: { Action: "states:StopExecution", Resource: childArn("*") },
  rule: { Action: ["events:PutRule", "events:PutTargets", "events:DescribeRule"], Resource: RULE },
};

/** A world whose machines' role has only these rights. */
async function worldWithRights(...granted: (keyof typeof rights)[]): Promise<World> {
  const world = worldWithChild();
  const statements = granted.map((name) => ({ Effect: "Allow" as const, ...rights[name] }));
  world.authorizer = new PolicyEvaluator();
  world.roles = {
    ...roles,
    assumeForService: (...given) => ({
      ...roles.assumeForService(...given),
      policies: [{ Version: "2012-10-17", Statement: statements }],
    }),
  };
  await world.reopen();
  return world;
}

test("with the rights that AWS requires, a task starts its child, learns its end and stops it", async () => {
  const world = await worldWithRights("start", "describe", "stop", "rule");
  const arn = await world.start(only(startChild()), {}, "heard");
  await answer(world, 1);
  expect(world.result(arn).status).toBe("SUCCEEDED");
  const second = await world.start(only(startChild({ Name: "two" })));
  await world.engine.stopExecution(second, {});
  await world.settle();
  expect(world.result(childArn("two"))).toEqual(ABORTED);
});

test("without the right to start, nothing is started", async () => {
  const world = await worldWithRights("describe", "stop", "rule");
  const arn = await world.start(only(startChild()));
  expect(world.result(arn)).toMatchObject({
    error: "StepFunctions.AWSStepFunctionsException",
    cause: expect.stringContaining("not authorized to perform: states:StartExecution"),
  });
  expect(world.store.execution(childArn("one"))).toBeUndefined();
});

test("without the right to describe, the task fails when its child ends", async () => {
  const world = await worldWithRights("start", "stop", "rule");
  const arn = await world.start(only(startChild()));
  await answer(world, 1);
  expect(world.result(arn).cause).toContain("not authorized to perform: states:DescribeExecution");
});

test("without the right to stop it, the child keeps running, and that is reported", async () => {
  const world = await worldWithRights("start", "describe", "rule");
  const arn = await world.start(only(startChild()));
  await world.engine.stopExecution(arn, {});
  await world.settle();
  expect(world.result(childArn("one")).status).toBe("RUNNING");
  expect(world.faults).toMatchObject([{ message: expect.stringContaining("states:StopExecution") }]);
});

test("a machine is refused if its role may not create the rule that reports the ends of executions", async () => {
  const world = await worldWithRights("start", "describe", "stop");
  await expect(world.start(only(startChild()))).rejects.toThrow(
    `'${ROLE}' is not authorized to create managed-rule.`,
  );
  // A machine that starts no executions needs no rule.
  await world.start(only({ ...invoke("ask"), End: true }));
});
