/**
 * For tests of the states engine: an engine on a real file, a clock that tests advance, and functions in
 * memory.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { AwsError } from "#local/core/aws-error.ts";
import { ManualClock } from "#local/core/clock.ts";
import type {
  Authorizer,
  LambdaInvocation,
  LambdaInvoker,
  LambdaResult,
  Roles,
} from "#local/core/service.ts";
import { StatesEngine } from "../engine.ts";
import { Store } from "../store.ts";

export const ROLE = "arn:aws:iam::000000000000:role/machine";

export const roles: Roles = {
  assumeForService: (roleArn, _service, { sessionName, context = {} }) => ({
    kind: "session",
    arn: `${roleArn}/${sessionName}`,
    roleArn,
    sessionName,
    policies: [],
    context,
  }),
  issueCredentials: () => {
    throw new Error("no credentials in this world");
  },
};

export class HandlerError extends Error {
  readonly errorType: string;
  constructor(errorType: string, message = "") {
    super(message);
    this.errorType = errorType;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a handler in a test knows what its machine sends
export type Handler = (payload: any, invocation: LambdaInvocation) => unknown;

/** Functions by name. A handler that throws a `HandlerError` is one whose error has that type. */
export class Functions implements LambdaInvoker {
  readonly invocations: LambdaInvocation[] = [];
  readonly handlers: Record<string, Handler>;

  constructor(handlers: Record<string, Handler> = {}) {
    this.handlers = handlers;
  }

  async invoke(invocation: LambdaInvocation): Promise<LambdaResult> {
    this.invocations.push(structuredClone(invocation));
    const handler = this.handlers[invocation.functionArn.split(":")[6] ?? ""];
    if (!handler) throw new AwsError("ResourceNotFoundException", "Function not found", 404);
    try {
      return { payload: await handler(invocation.payload, invocation) };
    } catch (error) {
      if (!(error instanceof HandlerError)) throw error;
      const { errorType, message } = error;
      return { payload: { errorType, errorMessage: message, trace: [] }, functionError: "Unhandled" };
    }
  }

  enqueue(): void {
    throw new Error("Step Functions invokes and waits");
  }
}

/** In memory where there is a file system for that: no test loses the power. */
const FOLDER = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

export class World {
  readonly clock = new ManualClock();
  readonly functions: Functions;
  readonly file = join(mkdtempSync(join(FOLDER, "states-")), "states.db");
  readonly faults: unknown[] = [];
  /** Allows everything unless a test says otherwise. */
  authorizer: Authorizer = { authorize: () => undefined };
  roles: Roles = roles;
  store: Store;
  engine: StatesEngine;

  /** `onEnd` gets what ends it; by default that happens when the test ends. */
  constructor(
    handlers: Record<string, Handler> = {},
    {
      store = new Store(this.file),
      onEnd = onTestFinished,
    }: { store?: Store; onEnd?: (end: () => Promise<void>) => void } = {},
  ) {
    this.functions = new Functions(handlers);
    this.store = store;
    this.engine = this.open(this.store);
    this.engine.start();
    onEnd(async () => {
      await this.engine.close();
      rmSync(dirname(this.file), { recursive: true });
    });
  }

  open(store: Store): StatesEngine {
    return new StatesEngine({
      store,
      clock: this.clock,
      lambda: this.functions,
      roles: this.roles,
      authorizer: this.authorizer,
      onFault: (error) => this.faults.push(error),
    });
  }

  /** Ends the engine between two transitions and opens another on the same file. */
  async reopen(store = (): Store => new Store(this.file)): Promise<void> {
    await this.engine.close();
    this.store = store();
    this.engine = this.open(this.store);
    this.engine.start();
    await this.settle();
  }

  /** Runs everything that can run now. */
  async settle(): Promise<void> {
    await this.clock.advance(0);
  }

  async start(definition: object, input: unknown = {}, name = "run"): Promise<string> {
    const text = JSON.stringify({ QueryLanguage: "JSONata", ...definition });
    const { arn: stateMachineArn } = this.engine.putMachine({
      name: "machine",
      definition: text,
      roleArn: ROLE,
    });
    const { arn } = this.engine.startExecution({ stateMachineArn, name, input: JSON.stringify(input) });
    await this.settle();
    return arn;
  }

  /** The execution's status and its output or error. */
  result(arn: string): { status: string; output?: unknown; error?: string; cause?: string } {
    const { status, output, error, cause } = this.engine.execution(arn);
    return {
      status,
      ...(output !== null && { output: JSON.parse(output) }),
      ...(error !== null && { error }),
      ...(cause !== null && { cause }),
    };
  }

  history(arn: string): { id: number; previousEventId: number; at: number; type: string; details: object }[] {
    return this.store
      .history(arn, 0, 100_000, false)
      .map((row) => ({ ...row, details: JSON.parse(row.details) as object }));
  }

  types(arn: string): string[] {
    return this.history(arn).map(({ type }) => type);
  }

  /** The payloads that a function got. */
  payloads(name: string): unknown[] {
    return this.functions.invocations
      .filter(({ functionArn }) => functionArn.endsWith(`:function:${name}`))
      .map(({ payload }) => payload);
  }
}

export function invoke(name: string, payload: unknown = "{% $states.input %}"): object {
  return {
    Type: "Task",
    Resource: "arn:aws:states:::lambda:invoke",
    Arguments: { FunctionName: name, Payload: payload },
  };
}

/** A task that gives its token to the function `name`. */
export function callback(name: string): object {
  return {
    Type: "Task",
    Resource: "arn:aws:states:::lambda:invoke.waitForTaskToken",
    Arguments: { FunctionName: name, Payload: { token: "{% $states.context.Task.Token %}" } },
  };
}
