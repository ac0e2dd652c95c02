import {
  ConflictException,
  CreateScheduleCommand,
  DeleteScheduleCommand,
  GetScheduleCommand,
  ListSchedulesCommand,
  ResourceNotFoundException,
  SchedulerClient,
  UpdateScheduleCommand,
  ValidationException,
} from "@aws-sdk/client-scheduler";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACCOUNT_ID, type PolicyStatement, REGION, type Service } from "../core/service.ts";
import { policy, SmallCloud } from "../gateway/testing/small-cloud.ts";
import { PolicyEvaluator } from "../iam/policy-evaluator.ts";
import { SchedulerService } from "./scheduler-service.ts";
import { functionArn, SchedulerWorld } from "./testing/scheduler-world.ts";

let cloud: SmallCloud;
let world: SchedulerWorld;
let client: SchedulerClient;
let targetRole: string;
let clients = 0;

beforeAll(async () => {
  let service: SchedulerService | undefined;
  const late: Service = {
    name: "scheduler",
    handle: async (request) => service?.handle(request) ?? { status: 503 },
    renderError: (error) => service?.renderError(error) ?? { status: 503 },
    close: async () => {},
  };
  cloud = await SmallCloud.start({ services: [late] });
  world = new SchedulerWorld({ clock: cloud.clock, roles: cloud.roles });
  service = new SchedulerService({ scheduler: world.scheduler, authorizer: new PolicyEvaluator() });
  const trust = {
    Effect: "Allow",
    Principal: { Service: "scheduler.amazonaws.com" },
    Action: "sts:AssumeRole",
  } as const;
  const role = await cloud.provision("AWS::IAM::Role", "target", {
    RoleName: "target",
    AssumeRolePolicyDocument: policy(trust),
  });
  targetRole = role.attributes.Arn ?? "";
  client = await clientFor(
    { Effect: "Allow", Action: "scheduler:*", Resource: "*" },
    { Effect: "Allow", Action: "iam:PassRole", Resource: targetRole },
  );
});
afterAll(async () => {
  world.scheduler.close();
  await cloud[Symbol.asyncDispose]();
});

async function clientFor(...statements: PolicyStatement[]): Promise<SchedulerClient> {
  return new SchedulerClient(await cloud.clientFor(`client-${clients++}`, ...statements));
}

function input(name: string) {
  return {
    Name: name,
    ScheduleExpression: "rate(15 minutes)",
    FlexibleTimeWindow: { Mode: "OFF" },
    Target: { Arn: functionArn, RoleArn: targetRole, Input: '{"plan":"p-1"}' },
  } as const;
}

test("a schedule is created, read, changed, listed and deleted with the SDK", async () => {
  const start = new Date(Math.ceil(cloud.clock.now() / 1000) * 1000 + 60_000);
  const created = await client.send(new CreateScheduleCommand({ ...input("plan-1"), StartDate: start }));
  expect(created.ScheduleArn).toBe(`arn:aws:scheduler:${REGION}:${ACCOUNT_ID}:schedule/default/plan-1`);
  const read = await client.send(new GetScheduleCommand({ Name: "plan-1" }));
  expect(read).toMatchObject({
    ...input("plan-1"),
    Arn: created.ScheduleArn,
    GroupName: "default",
    State: "ENABLED",
    ScheduleExpressionTimezone: "UTC",
    StartDate: start,
    CreationDate: expect.any(Date),
    ActionAfterCompletion: "NONE",
    Target: { RetryPolicy: { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 } },
  });
  await client.send(
    new UpdateScheduleCommand({ ...input("plan-1"), ScheduleExpression: "rate(1 hour)", State: "DISABLED" }),
  );
  const changed = await client.send(new GetScheduleCommand({ Name: "plan-1", GroupName: "default" }));
  expect(changed).toMatchObject({ ScheduleExpression: "rate(1 hour)", State: "DISABLED" });
  expect(changed.StartDate).toBeUndefined();
  for (const name of ["plan-2", "plan-3", "other"]) await client.send(new CreateScheduleCommand(input(name)));
  const names: (string | undefined)[] = [];
  let NextToken: string | undefined;
  do {
    const page = await client.send(
      new ListSchedulesCommand({ NamePrefix: "plan-", MaxResults: 2, NextToken }),
    );
    names.push(...(page.Schedules ?? []).map(({ Name }) => Name));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  expect(names).toEqual(["plan-1", "plan-2", "plan-3"]);
  const disabled = await client.send(new ListSchedulesCommand({ State: "DISABLED", GroupName: "default" }));
  expect(disabled.Schedules).toMatchObject([{ Name: "plan-1", Target: { Arn: functionArn } }]);
  await client.send(new DeleteScheduleCommand({ Name: "plan-1" }));
  const gone = client.send(new GetScheduleCommand({ Name: "plan-1" }));
  await expect(gone).rejects.toBeInstanceOf(ResourceNotFoundException);
});

test("a name that is taken is a conflict, but the same call with the same token is not", async () => {
  await client.send(new CreateScheduleCommand({ ...input("taken"), ClientToken: "t-1" }));
  await client.send(new CreateScheduleCommand({ ...input("taken"), ClientToken: "t-1" }));
  const again = client.send(new CreateScheduleCommand(input("taken")));
  await expect(again).rejects.toBeInstanceOf(ConflictException);
});

test("input that AWS refuses gets AWS's error, and unsupported input is refused as unsupported", async () => {
  const create = (override: object) =>
    client.send(new CreateScheduleCommand({ ...input("refused"), ...override }));
  await expect(create({ ScheduleExpression: "rate(soon)" })).rejects.toBeInstanceOf(ValidationException);
  await expect(create({ GroupName: "missing" })).rejects.toBeInstanceOf(ResourceNotFoundException);
  await expect(create({ Name: "a b" })).rejects.toBeInstanceOf(ValidationException);
  const flexible = { FlexibleTimeWindow: { Mode: "FLEXIBLE", MaximumWindowInMinutes: 5 } };
  await expect(create(flexible)).rejects.toMatchObject({ name: "NotImplemented" });
  const update = client.send(new UpdateScheduleCommand(input("missing")));
  await expect(update).rejects.toBeInstanceOf(ResourceNotFoundException);
});

test("a caller needs permission for the action and for passing the target's role", async () => {
  const arn = `arn:aws:scheduler:${REGION}:${ACCOUNT_ID}:schedule/default/mine`;
  const mayCreate = { Effect: "Allow", Action: "scheduler:CreateSchedule", Resource: arn } as const;
  const without = await clientFor(mayCreate);
  const denied = { name: "AccessDeniedException" };
  await expect(without.send(new CreateScheduleCommand(input("mine")))).rejects.toMatchObject(denied);
  const granted = await clientFor(mayCreate, {
    Effect: "Allow",
    Action: "iam:PassRole",
    Resource: targetRole,
  });
  await granted.send(new CreateScheduleCommand(input("mine")));
  await expect(granted.send(new CreateScheduleCommand(input("yours")))).rejects.toMatchObject(denied);
  await expect(granted.send(new GetScheduleCommand({ Name: "mine" }))).rejects.toMatchObject(denied);
  await expect(granted.send(new ListSchedulesCommand({}))).rejects.toMatchObject(denied);
});
