import { randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AwsError } from "../../core/aws-error.ts";
import { ManualClock } from "../../core/clock.ts";
import {
  ACCOUNT_ID,
  type Authorizer,
  type LambdaInvocation,
  type LambdaInvoker,
  REGION,
  type Roles,
} from "../../core/service.ts";
import { PolicyEvaluator } from "../../iam/policy-evaluator.ts";
import { MemoryLog, OpenRoles } from "../../lambda/testing/lambda-world.ts";
import { ScheduleDefinition } from "../schedule.ts";
import { Scheduler } from "../scheduler.ts";
import { SchedulerProvider } from "../scheduler-provider.ts";

export const functionArn = `arn:aws:lambda:${REGION}:${ACCOUNT_ID}:function:tick`;
export const machineArn = `arn:aws:states:${REGION}:${ACCOUNT_ID}:stateMachine:run`;
export const roleArn = `arn:aws:iam::${ACCOUNT_ID}:role/schedules`;

/** Records which functions it is asked to start, and when; fails the given number of times. */
export class Recorder implements LambdaInvoker {
  readonly clock: ManualClock;
  readonly invocations: { at: string; payload: unknown }[] = [];
  readonly executions: { at: string; name: string; input: string }[] = [];
  failures: AwsError[] = [];

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  invoke(): never {
    throw new Error("schedules invoke asynchronously");
  }

  enqueue({ payload }: LambdaInvocation): void {
    const failure = this.failures.shift();
    if (failure) throw failure;
    this.invocations.push({ at: this.#now(), payload });
  }

  startExecution({ name, input }: { name: string; input: string }): void {
    const failure = this.failures.shift();
    if (failure) throw failure;
    const existing = this.executions.some((execution) => execution.name === name);
    if (existing) throw new AwsError("ExecutionAlreadyExists", "exists");
    this.executions.push({ at: this.#now(), name, input });
  }

  #now(): string {
    return new Date(this.clock.now()).toISOString().replace(/:00\.000Z$/, "Z");
  }
}

export interface WorldOptions {
  directory?: string;
  clock?: ManualClock;
  recorder?: Recorder;
  authorizer?: Authorizer;
  roles?: Roles;
}

/** A scheduler on a new or given directory whose targets are written down. */
export class SchedulerWorld {
  readonly directory: string;
  readonly clock: ManualClock;
  readonly recorder: Recorder;
  readonly log = new MemoryLog();
  readonly scheduler: Scheduler;
  readonly provider: SchedulerProvider;

  constructor(options: WorldOptions = {}) {
    this.directory = options.directory ?? mkdtempSync(join(tmpdir(), "scheduler-"));
    this.clock = options.clock ?? new ManualClock();
    this.recorder = options.recorder ?? new Recorder(this.clock);
    this.scheduler = new Scheduler({
      dataDirectory: this.directory,
      clock: this.clock,
      newId: randomUUID,
      log: this.log,
      authorizer: options.authorizer ?? new PolicyEvaluator(),
      roles: options.roles ?? new OpenRoles(this.clock),
      lambda: this.recorder,
      startExecution: (request) => this.recorder.startExecution(request),
    });
    this.provider = new SchedulerProvider({ scheduler: this.scheduler });
  }

  /** The same scheduler in a new process after `downMs`. */
  async restart(downMs: number): Promise<SchedulerWorld> {
    this.scheduler.close();
    await this.clock.advance(downMs);
    const next = new SchedulerWorld({
      directory: this.directory,
      clock: this.clock,
      recorder: this.recorder,
    });
    next.scheduler.start();
    await this.clock.advance(0);
    return next;
  }

  create(expression: string, rest: object = {}, target: object = {}): void {
    this.scheduler.create({ group: "default", name: "s" }, definition(expression, rest, target), {});
  }

  get times(): string[] {
    return this.recorder.invocations.map(({ at }) => at);
  }
}

export function definition(expression: string, rest: object = {}, target: object = {}): ScheduleDefinition {
  return ScheduleDefinition.parse({
    ScheduleExpression: expression,
    FlexibleTimeWindow: { Mode: "OFF" },
    Target: { Arn: functionArn, RoleArn: roleArn, ...target },
    ...rest,
  });
}
