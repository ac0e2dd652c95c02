import { afterEach, expect, test } from "vitest";
import { AwsError } from "../core/aws-error.ts";
import { ManualClock } from "../core/clock.ts";
import { REGION } from "../core/service.ts";
import { LambdaWorld } from "../lambda/testing/lambda-world.ts";
import { definition, functionArn, machineArn, roleArn, SchedulerWorld } from "./testing/scheduler-world.ts";

const HOUR = 3_600_000;
const key = { group: "default", name: "s" };
let world: SchedulerWorld;
afterEach(() => world.scheduler.close());

function start(options?: ConstructorParameters<typeof SchedulerWorld>[0]): void {
  world = new SchedulerWorld(options);
  world.scheduler.start();
}

test("at() fires once, in its time zone", async () => {
  start();
  world.create("at(2030-01-01T03:00:00)", { ScheduleExpressionTimezone: "Europe/Berlin" });
  await world.clock.advance(48 * HOUR);
  expect(world.times).toEqual(["2030-01-01T02:00Z"]);
  expect(world.scheduler.get(key).nextDueAt).toBeUndefined();
});

test("rate() fires at once and then regularly; with a start it begins there, with an end it ends there", async () => {
  start();
  world.create("rate(2 hours)");
  world.scheduler.create(
    { group: "default", name: "bounded" },
    definition(
      "rate(1 day)",
      { StartDate: "2030-01-02T06:00:00Z", EndDate: "2030-01-04T06:00:00Z" },
      { Input: "1" },
    ),
    {},
  );
  await world.clock.advance(3 * HOUR);
  expect(world.times).toEqual(["2030-01-01T00:00Z", "2030-01-01T02:00Z"]);
  await world.clock.advance(240 * HOUR);
  const bounded = world.recorder.invocations.filter(({ payload }) => payload === 1);
  expect(bounded.map(({ at }) => at)).toEqual([
    "2030-01-02T06:00Z",
    "2030-01-03T06:00Z",
    "2030-01-04T06:00Z",
  ]);
});

test("cron() follows the wall clock of its zone over a change of the clocks, rate() does not", async () => {
  start({ clock: new ManualClock(Date.UTC(2030, 2, 29, 12)) });
  world.create("cron(0 6 * * ? *)", { ScheduleExpressionTimezone: "Europe/Berlin" });
  world.scheduler.create(
    { group: "default", name: "rate" },
    definition("rate(1 day)", {}, { Input: "1" }),
    {},
  );
  await world.clock.advance(72 * HOUR);
  const cron = world.recorder.invocations.filter(({ payload }) => payload !== 1).map(({ at }) => at);
  expect(cron).toEqual(["2030-03-30T05:00Z", "2030-03-31T04:00Z", "2030-04-01T04:00Z"]);
  const rate = world.recorder.invocations.filter(({ payload }) => payload === 1).map(({ at }) => at);
  expect(rate).toEqual(["2030-03-29T12:00Z", "2030-03-30T12:00Z", "2030-03-31T12:00Z", "2030-04-01T12:00Z"]);
});

test("after a stop, a missed at() fires once, and a recurring schedule fires only for its latest missed time", async () => {
  start();
  world.create("at(2030-01-01T05:00:00)", {}, { Input: '"at <aws.scheduler.scheduled-time>"' });
  for (const [name, expression] of [
    ["rate", "rate(1 hour)"],
    ["cron", "cron(0/30 * * * ? *)"],
  ] as const) {
    const input = { Input: `"${name} <aws.scheduler.scheduled-time>"` };
    const enough = { StartDate: "2030-01-01T01:00:00Z" };
    world.scheduler.create({ group: "default", name }, definition(expression, enough, input), {});
  }
  world = await world.restart(10.75 * HOUR);
  expect(world.recorder.invocations.map(({ payload }) => payload).sort()).toEqual([
    "at 2030-01-01T05:00:00Z",
    "cron 2030-01-01T10:30:00Z",
    "rate 2030-01-01T10:00:00Z",
  ]);
  await world.clock.advance(0.25 * HOUR);
  expect(world.recorder.invocations).toHaveLength(5);
  world = await world.restart(0);
  expect(world.recorder.invocations).toHaveLength(5);
});

test("a missed firing older than its maximum event age is logged as lost", async () => {
  start();
  world.create("at(2030-01-01T01:00:00)", {}, { RetryPolicy: { MaximumEventAgeInSeconds: 3600 } });
  world = await world.restart(3 * HOUR);
  expect(world.times).toEqual([]);
  await world.log.contains("too long ago");
});

test("a delivery that fails is tried again with growing pauses, over a restart too", async () => {
  start();
  const busy = () => new AwsError("TooManyRequestsException", "busy", 429);
  world.recorder.failures = [busy(), busy(), busy()];
  const input = '{"attempt":"<aws.scheduler.attempt-number>","id":"<aws.scheduler.execution-id>"}';
  world.create("at(2030-01-01T01:00:00)", {}, { Input: input });
  await world.clock.advance(HOUR + 1000);
  expect(world.recorder.failures).toHaveLength(1);
  world = await world.restart(2000);
  await world.clock.advance(4000);
  expect(world.recorder.invocations.map(({ payload }) => payload)).toEqual([
    { attempt: "4", id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
  ]);
});

test("a delivery is given up after its last retry, beyond its maximum age, or at a permanent error", async () => {
  start();
  const busy = () => new AwsError("TooManyRequestsException", "busy", 429);
  for (const [policy, failures] of [
    [{ MaximumRetryAttempts: 1 }, [busy(), busy()]],
    [{ MaximumEventAgeInSeconds: 60 }, Array.from({ length: 6 }, busy)],
    [{}, [new AwsError("AccessDeniedException", "no", 403)]],
  ] as const) {
    world.recorder.failures = [...failures];
    const at = new Date(world.clock.now() + HOUR).toISOString().slice(0, 19);
    world.create(`at(${at})`, { ActionAfterCompletion: "DELETE" }, { RetryPolicy: policy });
    world.log.lines.length = 0;
    await world.clock.advance(2 * HOUR);
    expect(world.recorder.failures).toEqual([]);
    await world.log.contains("did not reach its target");
  }
  expect(world.times).toEqual([]);
});

test("a state machine is started under the delivery's own name, so that a repetition does not start it twice", async () => {
  start();
  world.create(
    "at(2030-01-01T01:00:00)",
    {},
    { Arn: machineArn, Input: '{"at":"<aws.scheduler.scheduled-time>"}' },
  );
  // The execution is started, but the answer is lost.
  const started = world.recorder.startExecution.bind(world.recorder);
  let lost = false;
  world.recorder.startExecution = (request) => {
    started(request);
    if (!lost) {
      lost = true;
      throw new Error("connection reset");
    }
  };
  await world.clock.advance(2 * HOUR);
  expect(world.recorder.executions).toEqual([
    { at: "2030-01-01T01:00Z", name: expect.any(String), input: '{"at":"2030-01-01T01:00:00Z"}' },
  ]);
  expect(world.log.lines).toEqual([]);
});

test("the role of the target must allow the action, and let the scheduler assume it", async () => {
  const powerless = {
    assumeForService: () => ({
      kind: "session" as const,
      arn: "arn",
      roleArn,
      sessionName: "s",
      policies: [],
      context: {},
    }),
    issueCredentials: () => {
      throw new Error("schedules need no keys");
    },
  };
  start({ roles: powerless });
  world.create("rate(1 hour)", {}, { Arn: machineArn });
  await world.clock.advance(1000);
  expect(world.recorder.executions).toEqual([]);
  await world.log.contains("not authorized to perform: states:StartExecution");
  world.scheduler.close();
  const refusing = {
    ...powerless,
    assumeForService: () => {
      throw new AwsError("AccessDeniedException", "not trusted");
    },
  };
  start({ roles: refusing });
  expect(() => world.create("rate(1 hour)")).toThrow("must allow AWS EventBridge Scheduler to assume");
});

test("without an input the target gets the default event", async () => {
  start();
  world.create("at(2030-01-01T01:00:00)");
  await world.clock.advance(HOUR);
  expect(world.recorder.invocations[0]?.payload).toEqual({
    version: "0",
    id: expect.any(String),
    "detail-type": "Scheduled Event",
    source: "aws.scheduler",
    account: "000000000000",
    time: "2030-01-01T01:00:00Z",
    region: REGION,
    resources: [`arn:aws:scheduler:${REGION}:000000000000:schedule/default/s`],
    detail: "{}",
  });
});

test("disabling stops a schedule, and enabling lets it continue without the missed times", async () => {
  start();
  world.create("rate(1 hour)");
  await world.clock.advance(HOUR);
  world.scheduler.update(key, definition("rate(1 hour)", { State: "DISABLED" }), {});
  await world.clock.advance(5.5 * HOUR);
  world.scheduler.update(key, definition("rate(1 hour)"), {});
  await world.clock.advance(HOUR);
  expect(world.times).toEqual(["2030-01-01T00:00Z", "2030-01-01T01:00Z", "2030-01-01T07:00Z"]);
  world.scheduler.delete(key);
  await world.clock.advance(5 * HOUR);
  expect(world.times).toHaveLength(3);
});

test("a schedule that has ended is deleted if it asks for that", async () => {
  start();
  world.create("at(2030-01-01T01:00:00)", { ActionAfterCompletion: "DELETE" });
  await world.clock.advance(HOUR);
  expect(world.times).toHaveLength(1);
  expect(() => world.scheduler.get(key)).toThrow("does not exist");
});

test.each([
  ["at(2029-12-31T23:59:59)", {}, {}, "in the future"],
  ["at(2030-02-30T00:00:00)", {}, {}, "Invalid Schedule Expression"],
  [
    "at(2030-03-31T02:30:00)",
    { ScheduleExpressionTimezone: "Europe/Berlin" },
    {},
    "Invalid Schedule Expression",
  ],
  ["rate(0 hours)", {}, {}, "Invalid Schedule Expression"],
  ["rate(5 seconds)", {}, {}, "Invalid Schedule Expression"],
  ["cron(0 6 * * * *)", {}, {}, "day-of-month and day-of-week"],
  ["every hour", {}, {}, "Invalid Schedule Expression"],
  ["rate(1 hour)", { ScheduleExpressionTimezone: "Mars/Phobos" }, {}, "Timezone"],
  ["rate(1 hour)", { EndDate: "2029-01-01T00:00:00Z" }, {}, "EndDate"],
  ["rate(1 hour)", {}, { Input: "{" }, "not valid JSON"],
])("%s with %j and %j is refused", (expression, rest, target, message) => {
  start();
  expect(() => world.create(expression, rest, target)).toThrow(message);
});

test("a template's schedule continues over restarts, and follows a change of the template", async () => {
  start();
  const provision = (expression: string) =>
    world.provider.provision({
      type: "AWS::Scheduler::Schedule",
      stack: "Test",
      logicalId: "Nightly",
      generatedName: "test-nightly",
      properties: {
        GroupName: "plans",
        ScheduleExpression: expression,
        FlexibleTimeWindow: { Mode: "OFF" },
        Target: { Arn: functionArn, RoleArn: roleArn },
      },
    });
  await expect(provision("rate(1 hour)")).rejects.toThrow("group plans does not exist");
  world.scheduler.putGroup("plans");
  const { ref, attributes } = await provision("rate(3 hours)");
  expect([ref, attributes.Arn]).toEqual([
    "test-nightly",
    `arn:aws:scheduler:${REGION}:000000000000:schedule/plans/test-nightly`,
  ]);
  await world.clock.advance(HOUR);
  world = await world.restart(0);
  world.scheduler.putGroup("plans");
  await provision("rate(3 hours)");
  await world.clock.advance(2 * HOUR);
  expect(world.times).toEqual(["2030-01-01T00:00Z", "2030-01-01T03:00Z"]);
  await provision("cron(0 4 * * ? *)");
  await world.clock.advance(3 * HOUR);
  expect(world.times).toEqual(["2030-01-01T00:00Z", "2030-01-01T03:00Z", "2030-01-01T04:00Z"]);
});

test("a real function receives the event of its schedule", async () => {
  start();
  const functions = new LambdaWorld({ clock: world.clock });
  const arn = await functions.addFunction(
    "tick",
    "export const handler = async (event) => console.log(event.n);",
  );
  functions.lambda.start();
  world.recorder.enqueue = (request) => functions.lambda.enqueue(request);
  world.create("at(2030-01-01T01:00:00)", {}, { Arn: arn, Input: '{"n":"forty-two"}' });
  await world.clock.advance(HOUR);
  await functions.log.contains("forty-two");
  await functions.lambda.close();
});
