/** The operations of the API: what each takes, which permission it needs and what it answers. */
import * as z from "zod";
import { AwsError, UnsupportedError } from "#local/core/aws-error.ts";
import type { StatesEngine } from "./engine.ts";
import type { Failure } from "./failure.ts";
import { checkArn } from "./names.ts";
import { pageSize, readPageToken, writePageToken } from "./paging.ts";
import {
  describeExecution,
  describeMachine,
  eventOf,
  listedExecution,
  listedMachine,
  seconds,
} from "./shapes.ts";

export interface Operation {
  /** Throws `ZodError` when the input is malformed. */
  parse(input: unknown): Call;
}
export interface Call {
  /** ARNs to authorise the action on: one of them must be allowed. */
  resources(engine: StatesEngine): string[];
  run(engine: StatesEngine): Promise<object> | object;
}

function operation<S extends z.ZodType>(
  schema: S,
  resources: (input: z.infer<S>, engine: StatesEngine) => string[],
  run: (engine: StatesEngine, input: z.infer<S>) => Promise<object> | object,
): Operation {
  return {
    parse(raw) {
      const input = schema.parse(raw);
      return { resources: (engine) => resources(input, engine), run: (engine) => run(engine, input) };
    },
  };
}

const Arn = z.string().min(1).max(256);
const Token = z.string().min(1).max(2048);
const page = { maxResults: z.int().min(0).max(1000).optional(), nextToken: z.string().max(1024).optional() };
const reason = { error: z.string().max(256).optional(), cause: z.string().max(32_768).optional() };
const OnExecution = z.strictObject({ executionArn: Arn, includedData: z.literal("ALL_DATA").optional() });
const OnMachine = z.strictObject({ stateMachineArn: Arn, includedData: z.literal("ALL_DATA").optional() });

const onExecution = (input: { executionArn: string }) => [input.executionArn];
const onMachine = (input: { stateMachineArn: string }) => [input.stateMachineArn];

/** The resource of a token is its state machine. An unknown token is refused like a forbidden one. */
function onToken(input: { taskToken: string }, engine: StatesEngine): string[] {
  const machine = engine.machineOfToken(input.taskToken);
  return machine === undefined ? engine.store.machines("", MANY).map(({ arn }) => arn) : [machine];
}
const MANY = 10_000;

const StartExecution = z.strictObject({
  stateMachineArn: Arn,
  name: z.string().optional(),
  input: z.string().optional(),
});
const ListExecutions = z.strictObject({
  stateMachineArn: Arn,
  statusFilter: z.enum(["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]).optional(),
  ...page,
});
const GetExecutionHistory = z.strictObject({
  executionArn: Arn,
  reverseOrder: z.boolean().optional(),
  includeExecutionData: z.literal(true).optional(),
  ...page,
});

const OPERATIONS: Record<string, Operation> = {
  StartExecution: operation(StartExecution, onMachine, (engine, input) => {
    const { arn, startedAt } = engine.startExecution({
      stateMachineArn: input.stateMachineArn,
      ...(input.name !== undefined && { name: input.name }),
      ...(input.input !== undefined && { input: input.input }),
    });
    return { executionArn: arn, startDate: seconds(startedAt) };
  }),
  StopExecution: operation(
    z.strictObject({ executionArn: Arn, ...reason }),
    onExecution,
    async (engine, { executionArn, ...rest }) => ({
      stopDate: seconds(await engine.stopExecution(executionArn, failureOf(rest))),
    }),
  ),
  DescribeExecution: operation(OnExecution, onExecution, (engine, input) =>
    describeExecution(engine.execution(input.executionArn)),
  ),
  DescribeStateMachine: operation(OnMachine, onMachine, (engine, input) =>
    describeMachine(engine.machine(input.stateMachineArn)),
  ),
  ListExecutions: operation(ListExecutions, onMachine, (engine, input) => {
    const machine = engine.machine(input.stateMachineArn);
    const size = pageSize(input.maxResults);
    const before = Number(readPageToken(input.nextToken) ?? Number.MAX_SAFE_INTEGER);
    const rows = engine.store.executions(machine.arn, input.statusFilter, before, size + 1);
    const executions = rows.slice(0, size).map(listedExecution);
    return { executions, ...writePageToken(rows, size, ({ id }) => String(id)) };
  }),
  ListStateMachines: operation(
    z.strictObject(page),
    () => ["*"],
    (engine, input) => {
      const size = pageSize(input.maxResults);
      const rows = engine.store.machines(readPageToken(input.nextToken) ?? "", size + 1);
      const stateMachines = rows.slice(0, size).map(listedMachine);
      return { stateMachines, ...writePageToken(rows, size, ({ name }) => name) };
    },
  ),
  GetExecutionHistory: operation(GetExecutionHistory, onExecution, (engine, input) => {
    const { arn } = engine.execution(input.executionArn);
    const newestFirst = input.reverseOrder ?? false;
    const size = pageSize(input.maxResults);
    const from = Number(readPageToken(input.nextToken) ?? (newestFirst ? Number.MAX_SAFE_INTEGER : 0));
    const rows = engine.store.history(arn, from, size + 1, newestFirst);
    const events = rows.slice(0, size).map(eventOf);
    return { events, ...writePageToken(rows, size, ({ id }) => String(id)) };
  }),
  SendTaskSuccess: operation(
    z.strictObject({ taskToken: Token, output: z.string() }),
    onToken,
    async (engine, input) => {
      await engine.sendTaskSuccess(input.taskToken, input.output);
      return {};
    },
  ),
  SendTaskFailure: operation(
    z.strictObject({ taskToken: Token, ...reason }),
    onToken,
    async (engine, { taskToken, ...rest }) => {
      await engine.sendTaskFailure(taskToken, failureOf(rest));
      return {};
    },
  ),
  SendTaskHeartbeat: operation(z.strictObject({ taskToken: Token }), onToken, async (engine, input) => {
    await engine.sendTaskHeartbeat(input.taskToken);
    return {};
  }),
};

/**
 * Returns the operation with this name, with its input checked. Throws `UnsupportedError` or a
 * `ValidationException`.
 */
export function parseCall(name: string, input: unknown): Call {
  const found = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  if (!found) throw new UnsupportedError(`the Step Functions operation ${name}`);
  let call: Call;
  try {
    call = found.parse(input);
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    throw new AwsError("ValidationException", z.prettifyError(error), 400, { cause: error });
  }
  checkArns(input);
  return call;
}

function checkArns(input: unknown): void {
  const { stateMachineArn, executionArn } = input as Record<string, string | undefined>;
  if (stateMachineArn !== undefined) checkArn(stateMachineArn, "stateMachine");
  if (executionArn !== undefined) checkArn(executionArn, "execution");
}

function failureOf({ error, cause }: { error?: string | undefined; cause?: string | undefined }): Failure {
  return { ...(error !== undefined && { error }), ...(cause !== undefined && { cause }) };
}
