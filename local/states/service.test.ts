import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import {
  DescribeExecutionCommand,
  DescribeStateMachineCommand,
  GetActivityTaskCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  ListStateMachinesCommand,
  paginateGetExecutionHistory,
  SendTaskFailureCommand,
  SendTaskHeartbeatCommand,
  SendTaskSuccessCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import { afterEach, expect, test } from "vitest";
import { AwsError } from "#local/core/aws-error.ts";
import type { AccessRequest, ServiceRequest } from "#local/core/service.ts";
import { StatesService } from "./service.ts";
import { callback, ROLE, roles, World } from "./testing/states-world.ts";

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

/** The service behind a bare HTTP server, and the SDK's client in front of it. */
async function connect(world: World, allowed: (request: AccessRequest) => boolean = () => true) {
  const asked: string[] = [];
  const service = new StatesService(world.engine, {
    authorize(_caller, request) {
      asked.push(`${request.action} ${request.resource}`);
      if (!allowed(request)) throw new AwsError("AccessDeniedException", "not authorized", 400);
    },
  });
  const server = createServer(async (request, response) => {
    const answer = await service
      .handle(serviceRequest(request))
      .catch((error: unknown) => service.renderError(error));
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = new SFNClient({
    region: "local-1",
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    maxAttempts: 1,
  });
  opened.push({ close: () => client.destroy() }, server);
  return { client, asked };
}

function serviceRequest(request: IncomingMessage): ServiceRequest {
  return {
    caller: roles.assumeForService(ROLE, "lambda.amazonaws.com", { sessionName: "test" }),
    method: request.method ?? "",
    path: request.url ?? "",
    query: new URLSearchParams(),
    headers: request.headers,
    body: request,
    readBody: async () => Buffer.concat(await request.toArray()),
    signature: { seed: "", key: Buffer.alloc(0), scope: "", date: "", payloadHash: "" },
  };
}

const definition = JSON.stringify({
  QueryLanguage: "JSONata",
  StartAt: "Ask",
  States: { Ask: { ...callback("ask"), HeartbeatSeconds: 60, End: true } },
});

function machine(world: World): string {
  return world.engine.putMachine({ name: "asker", definition, roleArn: ROLE }).arn;
}

const tokens = (world: World) => (world.payloads("ask") as { token: string }[]).map(({ token }) => token);

test("the SDK starts, answers and describes an execution, and reads its history in pages", async () => {
  const world = new World({ ask: () => null });
  const { client, asked } = await connect(world);
  const stateMachineArn = machine(world);
  const start = new StartExecutionCommand({ stateMachineArn, name: "one", input: '{"a":1}' });
  const { executionArn, startDate } = await client.send(start);
  expect(startDate?.getTime()).toBe(world.clock.now());
  await world.settle();
  const [taskToken = ""] = tokens(world);
  await client.send(new SendTaskHeartbeatCommand({ taskToken }));
  await world.clock.advance(1500);
  await client.send(new SendTaskSuccessCommand({ taskToken, output: "[1]" }));
  await world.settle();
  expect(await client.send(new DescribeExecutionCommand({ executionArn }))).toMatchObject({
    status: "SUCCEEDED",
    name: "one",
    stateMachineArn,
    input: '{"a":1}',
    output: "[1]",
    stopDate: new Date(world.clock.now()),
  });
  const types: unknown[] = [];
  const pages = paginateGetExecutionHistory({ client, pageSize: 3 }, { executionArn });
  for await (const { events = [] } of pages) types.push(...events.map(({ type }) => type));
  expect(types).toEqual(world.types(executionArn ?? ""));
  const newest = new GetExecutionHistoryCommand({ executionArn, reverseOrder: true, maxResults: 2 });
  const { events = [] } = await client.send(newest);
  expect(events[0]).toMatchObject({
    type: "ExecutionSucceeded",
    previousEventId: events[1]?.id,
    executionSucceededEventDetails: { output: "[1]" },
  });
  expect(asked).toEqual([
    `states:StartExecution ${stateMachineArn}`,
    `states:SendTaskHeartbeat ${stateMachineArn}`,
    `states:SendTaskSuccess ${stateMachineArn}`,
    `states:DescribeExecution ${executionArn}`,
    ...Array(4).fill(`states:GetExecutionHistory ${executionArn}`),
  ]);
});

test("the history's details are those of the API", async () => {
  const world = new World({ ask: () => "got it" });
  const { client } = await connect(world);
  const { arn } = world.engine.startExecution({ stateMachineArn: machine(world) });
  await world.settle();
  const [taskToken = ""] = tokens(world);
  await client.send(new SendTaskFailureCommand({ taskToken, error: "DiskError", cause: "gone" }));
  const { events = [] } = await client.send(new GetExecutionHistoryCommand({ executionArn: arn }));
  const resource = { resourceType: "lambda", resource: "invoke.waitForTaskToken" };
  expect(events.map(({ timestamp: _, id: __, previousEventId: ___, ...rest }) => rest)).toMatchObject([
    { type: "ExecutionStarted", executionStartedEventDetails: { input: "{}", roleArn: ROLE } },
    { type: "TaskStateEntered", stateEnteredEventDetails: { name: "Ask", input: "{}" } },
    {
      type: "TaskScheduled",
      taskScheduledEventDetails: { ...resource, region: "local-1", heartbeatInSeconds: 60 },
    },
    { type: "TaskStarted", taskStartedEventDetails: resource },
    { type: "TaskSubmitted", taskSubmittedEventDetails: resource },
    { type: "TaskFailed", taskFailedEventDetails: { ...resource, error: "DiskError", cause: "gone" } },
    { type: "ExecutionFailed", executionFailedEventDetails: { error: "DiskError", cause: "gone" } },
  ]);
});

test("executions are listed newest first, by status and in pages; machines by name", async () => {
  const world = new World({ ask: () => null });
  const { client } = await connect(world);
  const stateMachineArn = machine(world);
  for (const name of ["a", "b", "c"]) world.engine.startExecution({ stateMachineArn, name });
  await world.settle();
  const executionArn = world.engine.store.executions(stateMachineArn, undefined, 2, 1)[0]?.arn;
  await client.send(new StopExecutionCommand({ executionArn, error: "E", cause: "C" }));
  const first = await client.send(new ListExecutionsCommand({ stateMachineArn, maxResults: 2 }));
  const { nextToken } = first;
  const rest = await client.send(new ListExecutionsCommand({ stateMachineArn, nextToken }));
  const stopped = await client.send(new ListExecutionsCommand({ stateMachineArn, statusFilter: "ABORTED" }));
  const names = [first, rest, stopped].map(({ executions = [] }) => executions.map(({ name }) => name));
  expect(names).toEqual([["c", "b"], ["a"], ["a"]]);
  expect(rest.nextToken).toBeUndefined();
  const { stateMachines } = await client.send(new ListStateMachinesCommand({}));
  expect(stateMachines).toMatchObject([{ name: "asker", stateMachineArn, type: "STANDARD" }]);
  expect(await client.send(new DescribeStateMachineCommand({ stateMachineArn }))).toMatchObject({
    definition,
    roleArn: ROLE,
    status: "ACTIVE",
  });
});

test("errors arrive as the SDK's exceptions", async () => {
  const world = new World();
  const { client } = await connect(world);
  const stateMachineArn = machine(world);
  const missing = stateMachineArn.replace("asker", "missing");
  const executionArn = stateMachineArn.replace("stateMachine", "execution").concat(":x");
  const errors: [Promise<unknown>, string][] = [
    [client.send(new StartExecutionCommand({ stateMachineArn: missing })), "StateMachineDoesNotExist"],
    [client.send(new StartExecutionCommand({ stateMachineArn, input: "{" })), "InvalidExecutionInput"],
    [client.send(new StartExecutionCommand({ stateMachineArn, name: "a b" })), "InvalidName"],
    [client.send(new StartExecutionCommand({ stateMachineArn: "x" })), "InvalidArn"],
    [client.send(new DescribeExecutionCommand({ executionArn })), "ExecutionDoesNotExist"],
    [client.send(new SendTaskHeartbeatCommand({ taskToken: "?" })), "InvalidToken"],
    [client.send(new SendTaskHeartbeatCommand({ taskToken: "x".repeat(64) })), "TaskDoesNotExist"],
    [client.send(new ListStateMachinesCommand({ maxResults: 5000 })), "ValidationException"],
    [client.send(new ListStateMachinesCommand({ nextToken: "?" })), "InvalidToken"],
    [client.send(new GetActivityTaskCommand({ activityArn: "a" })), "NotImplemented"],
  ];
  for (const [answer, name] of errors) await expect(answer).rejects.toMatchObject({ name });
});

test("a caller without the permission is refused, whether or not the thing exists", async () => {
  const world = new World({ ask: () => null });
  const { client } = await connect(world, () => false);
  const stateMachineArn = machine(world);
  const { arn } = world.engine.startExecution({ stateMachineArn });
  await world.settle();
  const [taskToken = ""] = tokens(world);
  const answers = [
    client.send(new StartExecutionCommand({ stateMachineArn: stateMachineArn.replace("asker", "missing") })),
    client.send(new StopExecutionCommand({ executionArn: arn })),
    client.send(new SendTaskSuccessCommand({ taskToken, output: "1" })),
    client.send(new SendTaskSuccessCommand({ taskToken: "x".repeat(64), output: "1" })),
  ];
  for (const answer of answers) await expect(answer).rejects.toMatchObject({ name: "AccessDeniedException" });
  expect(world.result(arn).status).toBe("RUNNING");
});

test("an unexpected error reveals nothing to the caller", async () => {
  const service = new StatesService(new World().engine, { authorize: () => undefined });
  const { status, body } = service.renderError(new Error("secret path"));
  expect(status).toBe(500);
  expect(String(body)).not.toContain("secret");
});
