import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AwsError } from "../core/aws-error.ts";
import {
  type Authorizer,
  type Caller,
  type Clock,
  type LambdaInvocation,
  type LambdaInvoker,
  type LambdaResult,
  type PolicyStatement,
  REGION,
  type Roles,
} from "../core/service.ts";
import { Environment, type Outcome } from "./environment.ts";
import { EnvironmentPool } from "./environment-pool.ts";
import { environmentVariables } from "./environment-variables.ts";
import { EventDispatcher } from "./event-dispatcher.ts";
import { EventQueue, type QueuedEvent } from "./event-queue.ts";
import {
  type AsynchronousPolicy,
  defaultAsynchronousPolicy,
  type FunctionConfiguration,
  functionNotFound,
  resolveFunctionArn,
} from "./function-configuration.ts";
import type { LogSink } from "./log-sink.ts";

export interface LambdaOptions {
  /** Holds the queue of asynchronous events. */
  dataDirectory: string;
  /** Returns the functions' `AWS_ENDPOINT_URL`. Called when an environment starts. */
  gatewayUrl: () => string;
  authorizer: Authorizer;
  roles: Roles;
  clock: Clock;
  /** A new UUID. */
  newId: () => string;
  log: LogSink;
  /** Called after each invocation with how long it ran and the memory that the function has. */
  onInvoked?: (milliseconds: number, memoryMiB: number) => void;
  limits?: Partial<LambdaLimits>;
}

export interface LambdaLimits {
  /** Environments of one function without reserved concurrency. */
  maxEnvironmentsPerFunction: number;
  /** Environments of all functions together. */
  maxEnvironments: number;
  /** An environment that is idle for this long is ended. */
  idleMs: number;
  /**
   * How long a call waits for an environment if only this machine's limits prevent one. Then it is refused.
   */
  patienceMs: number;
  /** Delays before the second and the third attempt of an asynchronous event. */
  retryDelaysMs: readonly number[];
}
const defaultLimits: LambdaLimits = {
  maxEnvironmentsPerFunction: 10,
  maxEnvironments: 24,
  idleMs: 5 * 60_000,
  patienceMs: 10_000,
  retryDelaysMs: [60_000, 120_000],
};

const MEBIBYTE = 1024 * 1024;
const SYNCHRONOUS_LIMIT_BYTES = 6 * MEBIBYTE;
const ASYNCHRONOUS_LIMIT_BYTES = MEBIBYTE;
const CREDENTIALS_SECONDS = 4 * 3600;
/** An environment takes no event if its credentials expire within the function's timeout plus this margin. */
const CREDENTIALS_MARGIN_MS = 5 * 60_000;

interface FunctionState {
  configuration: FunctionConfiguration;
  /** The resource policy; each statement has its own `Sid`. */
  policy: { Version: string; Statement: PolicyStatement[] };
  asynchronous: AsynchronousPolicy;
}

/** The embedded cloud's functions: who may invoke them, and the environments in which they run. */
export class Lambda implements LambdaInvoker {
  readonly #options: LambdaOptions;
  readonly #functions = new Map<string, FunctionState>();
  readonly #pool: EnvironmentPool;
  readonly #queue: EventQueue;
  readonly #dispatcher: EventDispatcher;

  constructor(options: LambdaOptions) {
    this.#options = options;
    const { clock, log } = options;
    const limits = { ...defaultLimits, ...options.limits };
    this.#pool = new EnvironmentPool({
      clock,
      create: (configuration) => this.#createEnvironment(configuration),
      maxPerFunction: limits.maxEnvironmentsPerFunction,
      maxTotal: limits.maxEnvironments,
      idleMs: limits.idleMs,
      patienceMs: limits.patienceMs,
    });
    mkdirSync(options.dataDirectory, { recursive: true });
    this.#queue = new EventQueue(join(options.dataDirectory, "events.sqlite"));
    this.#dispatcher = new EventDispatcher({
      queue: this.#queue,
      clock,
      log,
      retryDelaysMs: limits.retryDelaysMs,
      maxRunning: limits.maxEnvironments,
      run: (event) => this.#runQueued(event),
      policyOf: (arn) => this.#functions.get(arn)?.asynchronous ?? defaultAsynchronousPolicy,
      concurrencyOf: (arn) => {
        const reserved = this.#functions.get(arn)?.configuration.reservedConcurrency;
        return Math.max(1, reserved ?? limits.maxEnvironmentsPerFunction);
      },
    });
  }

  /**
   * Starts running asynchronous events, including those queued before a restart. Call it once everything is
   * provisioned.
   */
  start(): void {
    this.#dispatcher.start();
  }

  async invoke({ functionArn, payload, caller }: LambdaInvocation): Promise<LambdaResult> {
    const { configuration } = this.#authorized(functionArn, caller);
    const event = serialize(payload, SYNCHRONOUS_LIMIT_BYTES);
    const outcome = await this.#run(configuration, this.#options.newId(), event);
    if (outcome.error) return { payload: outcome.error, functionError: "Unhandled" };
    return { payload: JSON.parse(outcome.payload) };
  }

  enqueue({ functionArn, payload, caller }: LambdaInvocation): void {
    const { configuration } = this.#authorized(functionArn, caller);
    const now = this.#options.clock.now();
    this.#queue.add({
      id: this.#options.newId(),
      functionArn: configuration.arn,
      payload: serialize(payload, ASYNCHRONOUS_LIMIT_BYTES),
      enqueuedAt: now,
      dueAt: now,
      failures: 0,
    });
    this.#dispatcher.dispatch();
  }

  /** Throws what `invoke` would throw for this caller, without running anything. */
  check(functionArn: string, caller: Caller): void {
    this.#authorized(functionArn, caller);
  }

  /** Creates or changes a function. Its role must let Lambda assume it. */
  putFunction(configuration: FunctionConfiguration): void {
    const { name, arn, roleArn } = configuration;
    this.#options.roles.assumeForService(roleArn, "lambda.amazonaws.com", { sessionName: name });
    const known = this.#functions.get(arn);
    this.#functions.set(arn, {
      configuration,
      policy: known?.policy ?? { Version: "2012-10-17", Statement: [] },
      asynchronous: known?.asynchronous ?? defaultAsynchronousPolicy,
    });
    this.#pool.retire(arn);
  }

  /** Adds a statement to the function's resource policy, in place of the one with the same `Sid`. */
  putPermission(functionArn: string, statement: PolicyStatement & { Sid: string }): void {
    const found = this.#find(functionArn);
    const others = found.policy.Statement.filter(({ Sid }) => Sid !== statement.Sid);
    // Make a new document, because evaluators cache results for each document.
    found.policy = { ...found.policy, Statement: [...others, statement] };
  }

  putAsynchronousPolicy(functionArn: string, policy: AsynchronousPolicy): void {
    this.#find(functionArn).asynchronous = policy;
  }

  /** Ends everything that runs. Asynchronous events that had not ended run again after the next start. */
  async close(): Promise<void> {
    this.#dispatcher.stop();
    await this.#pool.close();
    this.#queue.close();
  }

  #find(functionArn: string): FunctionState {
    const found = this.#functions.get(resolveFunctionArn(functionArn));
    if (!found) throw functionNotFound(functionArn);
    return found;
  }

  #authorized(functionArn: string, caller: Caller): FunctionState {
    const found = this.#find(functionArn);
    this.#options.authorizer.authorize(caller, {
      action: "lambda:InvokeFunction",
      resource: found.configuration.arn,
      resourcePolicy: found.policy,
    });
    return found;
  }

  #runQueued(event: QueuedEvent): Promise<Outcome> {
    return this.#run(this.#find(event.functionArn).configuration, event.id, event.payload);
  }

  async #run(configuration: FunctionConfiguration, requestId: string, event: string): Promise<Outcome> {
    const environment = await this.#pool.acquire(configuration);
    const from = performance.now();
    let outcome: Outcome;
    try {
      outcome = await environment.run(requestId, event);
    } finally {
      this.#pool.release(environment);
      this.#options.onInvoked?.(performance.now() - from, configuration.memoryMegabytes);
    }
    if (!outcome.error && Buffer.byteLength(outcome.payload) > SYNCHRONOUS_LIMIT_BYTES) {
      const errorMessage = `Response payload size exceeded maximum allowed payload size (${SYNCHRONOUS_LIMIT_BYTES} bytes).`;
      outcome = { error: { errorType: "Function.ResponseSizeTooLarge", errorMessage } };
    }
    if (outcome.error) {
      this.#options.log.write(configuration.name, { level: "ERROR", requestId, message: outcome.error });
    }
    return outcome;
  }

  #createEnvironment(configuration: FunctionConfiguration): Environment {
    const { roles, clock, log, gatewayUrl } = this.#options;
    const session = roles.assumeForService(configuration.roleArn, "lambda.amazonaws.com", {
      sessionName: configuration.name,
    });
    const credentials = roles.issueCredentials(session, CREDENTIALS_SECONDS);
    return new Environment({
      configuration,
      variables: environmentVariables(configuration, {
        credentials,
        gatewayUrl: gatewayUrl(),
        region: REGION,
      }),
      usableUntil: credentials.expiresAt - configuration.timeoutSeconds * 1000 - CREDENTIALS_MARGIN_MS,
      clock,
      log,
    });
  }
}

function serialize(payload: unknown, limitBytes: number): string {
  const text = JSON.stringify(payload) ?? "null";
  if (Buffer.byteLength(text) <= limitBytes) return text;
  throw new AwsError(
    "RequestTooLargeException",
    `Request must be smaller than ${limitBytes} bytes for the InvokeFunction operation`,
    413,
  );
}
