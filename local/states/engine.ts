import { AwsError } from "#local/core/aws-error.ts";
import type { Authorizer, Clock, LambdaInvoker, Roles } from "#local/core/service.ts";
import { Children } from "./children.ts";
import type { Execution } from "./execution.ts";
import { Expressions } from "./expressions.ts";
import { type Failure, MAX_PAYLOAD_BYTES } from "./failure.ts";
import { openTasks, type TaskCursor } from "./frames.ts";
import { initialFrames, recordStart } from "./interpreter.ts";
import { invokeFunction } from "./invocation.ts";
import { taskFailed, taskSucceeded } from "./kinds/task.ts";
import { compileMachine } from "./machine.ts";
import { startsExecution } from "./machine-rules.ts";
import { checkArn, checkName, executionArn, machineArn } from "./names.ts";
import { type Randomness, systemRandomness } from "./randomness.ts";
import { Runner } from "./runner.ts";
import type { ExecutionRecord, MachineRecord, Parent, Store } from "./store.ts";
import { type Tools, Transition } from "./transition.ts";

export interface StatesEngineOptions {
  /** Closed with the engine. */
  store: Store;
  clock: Clock;
  lambda: LambdaInvoker;
  roles: Roles;
  /** Authorizes tasks' calls to Step Functions itself. `lambda` authorizes calls to functions. */
  authorizer: Authorizer;
  randomness?: Randomness;
  /**
   * Called with errors that have no caller, such as a transition that could not be written. The engine
   * retries it.
   */
  onFault(error: unknown, executionArn: string): void;
}

/** As on AWS, executions that ended longer ago are deleted. */
const RETENTION_MS = 90 * 24 * 3600 * 1000;
const PRUNE_EVERY_MS = 24 * 3600 * 1000;
const TOKEN = /^[\w-]{32,1024}$/;

/**
 * Runs state machines. Executions survive the end of the process at any instant: a new engine on the same
 * store continues after the last committed transition. It invokes a function that had not returned again,
 * with the same payload and task token.
 */
export class StatesEngine {
  readonly #options: StatesEngineOptions;
  readonly #tools: Tools;
  readonly #runners = new Map<string, Runner>();
  readonly #children: Children;
  #started = false;
  #prunedAt: number;

  constructor(options: StatesEngineOptions) {
    this.#options = options;
    const randomness = options.randomness ?? systemRandomness;
    this.#tools = { randomness, expressions: new Expressions(options.clock, randomness) };
    this.#prunedAt = options.clock.now();
    options.store.prune(this.#prunedAt - RETENTION_MS);
    this.#children = new Children({
      ...options,
      start: (request, parent) => this.startExecution(request, parent),
      stop: (arn, reason) => this.stopExecution(arn, reason),
    });
  }

  get store(): Store {
    return this.#options.store;
  }

  /**
   * Starts running executions, including those from earlier processes. Call it once everything they need
   * (roles, functions) exists. A heartbeat deadline that passed while no engine ran starts again now, because
   * no engine could receive the heartbeat.
   */
  start(): void {
    this.#started = true;
    for (const arn of this.store.runningArns()) {
      const runner = this.#runner(arn);
      runner.excuseHeartbeats();
      runner.wake();
    }
    void this.#children.stopOrphans();
  }

  /** Stops at once. The next engine on the same store repeats whatever was not committed. */
  async close(): Promise<void> {
    await Promise.all([...this.#runners.values()].map((runner) => runner.close()));
    this.store.close();
  }

  /**
   * Creates a machine or replaces its definition; running executions keep the definition with which they
   * started.
   */
  putMachine(machine: { name: string; definition: string; roleArn: string }): MachineRecord {
    checkName(machine.name);
    const { states } = compileMachine(machine.definition);
    const arn = machineArn(machine.name);
    if ([...states.values()].some(startsExecution)) {
      this.#children.requireRule({ ...machine, machineArn: arn });
    }
    const revisionId = this.#tools.randomness.uuid();
    this.store.putMachine({ ...machine, arn, revisionId, createdAt: this.#options.clock.now() });
    return this.machine(arn);
  }

  machine(arn: string): MachineRecord {
    checkArn(arn, "stateMachine");
    const machine = this.store.machine(arn);
    if (!machine) throw new AwsError("StateMachineDoesNotExist", `State Machine Does Not Exist: '${arn}'`);
    return machine;
  }

  execution(arn: string): ExecutionRecord {
    checkArn(arn, "execution");
    const execution = this.store.execution(arn);
    if (!execution) throw new AwsError("ExecutionDoesNotExist", `Execution Does Not Exist: '${arn}'`);
    return execution;
  }

  /**
   * Starts an execution, which is durable when this returns. The same name and input again return the running
   * execution. Otherwise a used name throws `ExecutionAlreadyExists`. `parent` is the task that starts it.
   */
  startExecution(
    request: { stateMachineArn: string; name?: string; input?: string },
    parent?: Parent,
  ): ExecutionRecord {
    const machine = this.machine(request.stateMachineArn);
    const name = request.name ?? this.#tools.randomness.uuid();
    checkName(name);
    const text = request.input ?? "{}";
    const input = parseJson(text, "InvalidExecutionInput", "Invalid State Machine Execution Input");
    const arn = executionArn(machine.name, name);
    this.#prune();
    const existing = this.store.execution(arn);
    if (existing) {
      if (existing.status !== "RUNNING" || existing.input !== text) {
        throw new AwsError("ExecutionAlreadyExists", `Execution Already Exists: '${arn}'`);
      }
      if (parent) this.store.adopt(arn, parent);
      return existing;
    }
    const now = this.#options.clock.now();
    const compiled = compileMachine(machine.definition);
    const execution: Execution = {
      arn,
      name,
      machineArn: machine.arn,
      machineName: machine.name,
      roleArn: machine.roleArn,
      input,
      startedAt: now,
      eventCount: 0,
      frames: initialFrames(compiled, input, now),
    };
    const t = new Transition(execution, compiled, this.#tools, now);
    recordStart(t);
    this.store.insertExecution(t, text, machine.revision, parent);
    this.#runner(arn).wake();
    return this.execution(arn);
  }

  /**
   * Aborts a running execution. Does not change one that has ended. Returns its end in milliseconds since
   * 1970.
   */
  async stopExecution(arn: string, reason: Failure): Promise<number> {
    if (this.execution(arn).status === "RUNNING") {
      await this.#runner(arn).signal(async (t) => t.end({ status: "ABORTED", ...reason }));
    }
    return this.execution(arn).stoppedAt ?? this.#options.clock.now();
  }

  /** Ends the task with this JSON as its result. */
  async sendTaskSuccess(token: string, output: string): Promise<void> {
    const result = parseJson(output, "InvalidOutput", "Invalid Output");
    await this.#signalTask(token, (t, open) => taskSucceeded(t, open, result));
  }

  async sendTaskFailure(token: string, failure: Failure): Promise<void> {
    await this.#signalTask(token, (t, open) => taskFailed(t, open, failure));
  }

  /** Extends the task's heartbeat deadline. */
  async sendTaskHeartbeat(token: string): Promise<void> {
    await this.#signalTask(token, async (t, { task }) => {
      if (task.heartbeatSeconds !== undefined) task.heartbeatAt = t.now + task.heartbeatSeconds * 1000;
    });
  }

  /** The machine whose execution issued this token, even after the task has ended. */
  machineOfToken(token: string): string | undefined {
    const arn = this.store.executionOfToken(token);
    return arn === undefined ? undefined : this.store.execution(arn)?.machineArn;
  }

  async #signalTask(
    token: string,
    change: (t: Transition, open: TaskCursor) => Promise<void>,
  ): Promise<void> {
    if (!TOKEN.test(token)) throw new AwsError("InvalidToken", "Invalid Token: 'Invalid token'");
    const arn = this.store.executionOfToken(token);
    if (arn === undefined) throw new AwsError("TaskDoesNotExist", "Task Does Not Exist: 'Unknown token'");
    if (this.execution(arn).status !== "RUNNING") throw taskIsOver();
    const running = await this.#runner(arn).signal(async (t) => {
      const open = openTasks(t.root).find(({ task }) => task.token === token);
      if (!open) throw taskIsOver();
      await change(t, open);
    });
    if (!running) throw taskIsOver();
  }

  #runner(arn: string): Runner {
    let runner = this.#runners.get(arn);
    if (!runner) {
      runner = new Runner({
        arn,
        store: this.store,
        clock: this.#options.clock,
        tools: this.#tools,
        call: (execution, task) =>
          task.work.kind === "execution"
            ? this.#children.call(execution, task, task.work)
            : invokeFunction(this.#options, execution, task.work),
        mayRun: () => this.#started,
        onTaskGone: (execution, taskId) => void this.#children.stopChildOf(execution, taskId),
        onEnd: () => {
          this.#runners.delete(arn);
          this.#children.hasEnded(arn);
        },
        onFault: (error) => this.#options.onFault(error, arn),
      });
      this.#runners.set(arn, runner);
    }
    return runner;
  }

  #prune(): void {
    const now = this.#options.clock.now();
    if (now - this.#prunedAt < PRUNE_EVERY_MS) return;
    this.#prunedAt = now;
    this.store.prune(now - RETENTION_MS);
  }
}

function taskIsOver(): AwsError {
  return new AwsError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'");
}

function parseJson(text: string, code: string, message: string): unknown {
  if (Buffer.byteLength(text) > MAX_PAYLOAD_BYTES) {
    throw new AwsError(code, `${message}: it has more than ${MAX_PAYLOAD_BYTES} bytes`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AwsError(code, `${message}: it is not JSON`, 400, { cause: error });
  }
}
