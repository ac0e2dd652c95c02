import {
  ConflictException,
  CreateScheduleCommand,
  DeleteScheduleCommand,
  ResourceNotFoundException,
  SchedulerClient,
  UpdateScheduleCommand,
} from "@aws-sdk/client-scheduler";
import { mockClient } from "aws-sdk-client-mock";
import { expect, test } from "vitest";
import { SchedulerPlanTimer } from "./scheduler-plan-timer.ts";

const NOW = Date.UTC(2030, 0, 1, 12);
const said = { Message: "x", message: "x", $metadata: {} };
const missing = new ResourceNotFoundException(said);

function aTimer() {
  const client = new SchedulerClient({ region: "local-1" });
  const arns = {
    runPlanArn: "arn:function",
    watchPlanArn: "arn:watch",
    drillPlanArn: "arn:drill",
    wakeCutoverArn: "arn:wake",
  };
  const clock = { now: () => NOW };
  return {
    mock: mockClient(client),
    timer: new SchedulerPlanTimer({ client, group: "plans", ...arns, roleArn: "arn:role", clock }),
  };
}

test("a plan's schedule is replaced whole, and fires once at the due time", async () => {
  const { mock, timer } = aTimer();
  mock.on(UpdateScheduleCommand).resolves({});
  await timer.arm("plan_1", NOW + 3_600_500, 900);
  expect(mock.commandCalls(UpdateScheduleCommand)[0]?.args[0].input).toMatchObject({
    ...{ GroupName: "plans", Name: "plan_1", ScheduleExpression: "at(2030-01-01T13:00:01)" },
    ...{ State: "ENABLED", ActionAfterCompletion: "NONE", FlexibleTimeWindow: { Mode: "OFF" } },
    Target: {
      ...{ Arn: "arn:function", RoleArn: "arn:role" },
      Input: JSON.stringify({ planId: "plan_1", dueAt: "2030-01-01T13:00:00.500Z" }),
      // A call that is late makes way for the next run.
      RetryPolicy: { MaximumEventAgeInSeconds: 900 },
    },
  });
});

test("a time that is past fires as soon as possible, and keeps its due time", async () => {
  const { mock, timer } = aTimer();
  mock.on(UpdateScheduleCommand).resolves({});
  await timer.arm("plan_1", NOW - 60_000, 1);
  const { ScheduleExpression, Target } = mock.commandCalls(UpdateScheduleCommand)[0]?.args[0].input ?? {};
  expect(ScheduleExpression).toBe("at(2030-01-01T12:00:02)");
  expect(Target?.Input).toContain("2030-01-01T11:59:00.000Z");
});

test("a plan's first schedule is created, also if another request does so at the same moment", async () => {
  const { mock, timer } = aTimer();
  mock.on(UpdateScheduleCommand).rejectsOnce(missing).resolves({});
  mock.on(CreateScheduleCommand).rejects(new ConflictException(said));
  await timer.arm("plan_1", NOW, 30 * 86_400);
  expect(mock.commandCalls(UpdateScheduleCommand)).toHaveLength(2);
});

test("a schedule that does not exist is as good as deleted; any other error is thrown", async () => {
  const { mock, timer } = aTimer();
  mock.on(DeleteScheduleCommand).rejectsOnce(missing).rejects(new Error("throttled"));
  await timer.disarm("plan_1");
  await expect(timer.disarm("plan_1")).rejects.toThrow("throttled");
});

test("a plan's next drill has a schedule of its own", async () => {
  const { mock, timer } = aTimer();
  mock.on(UpdateScheduleCommand).resolves({});
  mock.on(DeleteScheduleCommand).resolves({});
  await timer.armDrill("plan_1", NOW + 3_600_000);
  expect(mock.commandCalls(UpdateScheduleCommand)[0]?.args[0].input).toMatchObject({
    ...{ GroupName: "plans", Name: "plan_1-drill", ScheduleExpression: "at(2030-01-01T13:00:00)" },
    Target: {
      Arn: "arn:drill",
      Input: JSON.stringify({ planId: "plan_1", dueAt: "2030-01-01T13:00:00.000Z" }),
    },
  });
  await timer.disarmDrill("plan_1");
  expect(mock.commandCalls(DeleteScheduleCommand)[0]?.args[0].input).toMatchObject({ Name: "plan_1-drill" });
});

test("a plan's watch fires at one minute of every hour, and not before the minute after its time", async () => {
  const { mock, timer } = aTimer();
  mock.on(UpdateScheduleCommand).resolves({});
  await timer.watch("plan_1", NOW + 65 * 60_000 + 1);
  expect(mock.commandCalls(UpdateScheduleCommand)[0]?.args[0].input).toMatchObject({
    ...{ GroupName: "plans", Name: "plan_1-watch", ScheduleExpression: "cron(6 * * * ? *)" },
    ...{ ScheduleExpressionTimezone: "UTC", StartDate: new Date("2030-01-01T13:05:30Z"), State: "ENABLED" },
    Target: { Arn: "arn:watch", Input: JSON.stringify({ planId: "plan_1" }) },
  });
});

test("a watch whose time is past fires in the next minute, and starts no earlier than AWS accepts", async () => {
  const { mock, timer } = aTimer();
  mock.on(UpdateScheduleCommand).resolves({});
  await timer.watch("plan_1", NOW - 86_400_000);
  const { ScheduleExpression, StartDate } = mock.commandCalls(UpdateScheduleCommand)[0]?.args[0].input ?? {};
  expect(ScheduleExpression).toBe("cron(1 * * * ? *)");
  // "The StartDate you specify cannot be earlier than 5 minutes ago."
  expect(StartDate?.getTime()).toBeGreaterThan(NOW - 300_000);
});

test("a plan's watch is removed apart from its timer", async () => {
  const { mock, timer } = aTimer();
  mock.on(DeleteScheduleCommand).resolves({});
  await timer.unwatch("plan_1");
  expect(mock.commandCalls(DeleteScheduleCommand)[0]?.args[0].input.Name).toBe("plan_1-watch");
});

test("a cutover's timer is a schedule of its own, whose call is useful for a day", async () => {
  const { mock, timer } = aTimer();
  mock.on(UpdateScheduleCommand).resolves({});
  await timer.armCutover("cut_1", NOW + 60_000);
  expect(mock.commandCalls(UpdateScheduleCommand)[0]?.args[0].input).toMatchObject({
    ...{ Name: "cut_1", ScheduleExpression: "at(2030-01-01T12:01:00)" },
    Target: {
      ...{ Arn: "arn:wake", Input: '{"cutoverId":"cut_1","dueAt":"2030-01-01T12:01:00.000Z"}' },
      RetryPolicy: { MaximumEventAgeInSeconds: 86_400 },
    },
  });
  mock.on(DeleteScheduleCommand).resolves({});
  await timer.disarmCutover("cut_1");
  expect(mock.commandCalls(DeleteScheduleCommand)[0]?.args[0].input).toMatchObject({ Name: "cut_1" });
});
