import { AwsError } from "#local/core/aws-error.ts";
import { ACCOUNT_ID, type Authorizer, REGION, type Roles } from "#local/core/service.ts";
import type { Execution } from "./execution.ts";
import type { Failure } from "./failure.ts";
import { type ExecutionWork, openTasks, type TaskProgress } from "./frames.ts";
import type { Returned, StartedExecution } from "./kinds/task.ts";
import { assumeMachineRole } from "./machine-role.ts";
import type { ExecutionRecord, Parent, Store } from "./store.ts";

export interface ChildrenOptions {
  store: Store;
  roles: Roles;
  authorizer: Authorizer;
  /** As `StartExecution`; a new execution is written together with the task that started it. */
  start(request: { stateMachineArn: string; name: string; input: string }, parent: Parent): ExecutionRecord;
  /** As `StopExecution`. */
  stop(executionArn: string, reason: Failure): Promise<unknown>;
  onFault(error: unknown, executionArn: string): void;
}

/** The execution for which a task acts, with its machine's role. */
type Owner = Pick<Execution, "arn" | "name" | "machineArn" | "roleArn">;

/**
 * Executions that tasks of other executions have started (`startExecution.sync:2`). A task starts its child
 * once and ends when the child ends. If the task ends earlier, it stops the child. Every call is authorised
 * for the role of the task's machine.
 *
 * The results match measurements of AWS (floci-io/floci, `AslExecutorNestedSyncFailureTest`).
 */
export class Children {
  readonly #options: ChildrenOptions;
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(options: ChildrenOptions) {
    this.#options = options;
  }

  /** Starts the child, or waits for its end if it is already started. Never rejects. */
  async call(owner: Owner, task: TaskProgress, work: ExecutionWork): Promise<Returned> {
    try {
      if (work.executionArn === undefined) return { payload: this.#start(owner, task.id, work) };
      await this.#ended(work.executionArn);
      return this.#result(owner, work.executionArn);
    } catch (error) {
      return { failure: serviceFailure(error) };
    }
  }

  /** Reports that this execution has ended. The tasks that wait for it then continue. */
  hasEnded(executionArn: string): void {
    for (const resume of this.#waiting.get(executionArn) ?? []) resume();
    this.#waiting.delete(executionArn);
  }

  /**
   * Stops the child of a task that ended through a timeout, a sibling's failure or the end of its execution.
   */
  async stopChildOf(owner: Owner, taskId: number): Promise<void> {
    const { store, stop, onFault } = this.#options;
    const child = store.childOf({ arn: owner.arn, taskId });
    if (child?.status !== "RUNNING") return;
    try {
      this.#authorize(owner, "states:StopExecution", child.arn);
      await stop(child.arn, { cause: abortedBy(owner.arn) });
    } catch (error) {
      // As on AWS, stopping is only an attempt. If it fails, the child continues to run.
      onFault(error, child.arn);
    }
  }

  /** Stops children whose task ended while no process was running to stop them. */
  async stopOrphans(): Promise<void> {
    const { store } = this.#options;
    const orphans = store.parentsOfRunning().flatMap(({ arn, taskId }) => {
      const parent = store.running(arn)?.execution;
      if (parent && openTasks(parent.frames.root).some(({ task }) => task.id === taskId)) return [];
      const owner = parent ?? store.owner(arn);
      return owner ? [{ owner, taskId }] : [];
    });
    await Promise.all(orphans.map(({ owner, taskId }) => this.stopChildOf(owner, taskId)));
  }

  /**
   * On AWS a machine that waits for executions receives their end through an EventBridge rule, which its role
   * must be allowed to create. Throws as AWS does when it refuses to create a machine without this right.
   */
  requireRule(owner: Omit<Owner, "arn">): void {
    try {
      for (const action of ["events:PutTargets", "events:PutRule", "events:DescribeRule"]) {
        this.#authorize(owner, action, MANAGED_RULE);
      }
    } catch (error) {
      const message = `'${owner.roleArn}' is not authorized to create managed-rule.`;
      throw new AwsError("AccessDeniedException", message, 400, { cause: error });
    }
  }

  #start(owner: Owner, taskId: number, { machineArn, name, input }: ExecutionWork): StartedExecution {
    const { store, start } = this.#options;
    this.#authorize(owner, "states:StartExecution", machineArn);
    const parent = { arn: owner.arn, taskId };
    // Started before a crash. It still belongs to this task, even if it has ended by now.
    const { arn, startedAt } =
      store.childOf(parent) ??
      start({ stateMachineArn: machineArn, name, input: JSON.stringify(input) }, parent);
    return { ExecutionArn: arn, StartDate: startedAt };
  }

  async #ended(executionArn: string): Promise<void> {
    if (this.#options.store.execution(executionArn)?.status !== "RUNNING") return;
    await new Promise<void>((resolve) => {
      this.#waiting.set(executionArn, [...(this.#waiting.get(executionArn) ?? []), resolve]);
    });
  }

  #result(owner: Owner, executionArn: string): Returned {
    this.#authorize(owner, "states:DescribeExecution", executionArn);
    const record = this.#options.store.execution(executionArn);
    if (!record) throw new AwsError("ExecutionDoesNotExist", `Execution Does Not Exist: '${executionArn}'`);
    if (record.status === "SUCCEEDED") return { payload: succeededChild(record) };
    const cause = JSON.stringify(unsuccessfulChild(record)).slice(0, MAX_CAUSE_CHARACTERS);
    return { failure: { error: "States.TaskFailed", cause } };
  }

  #authorize(owner: Omit<Owner, "arn">, action: string, resource: string): void {
    const { roles, authorizer } = this.#options;
    authorizer.authorize(assumeMachineRole(roles, owner, owner.name), { action, resource });
  }
}

const MANAGED_RULE = `arn:aws:events:${REGION}:${ACCOUNT_ID}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule`;

/** The cause that AWS gives a child that it stops. */
function abortedBy(parentArn: string): string {
  return (
    `The Task state in AWS Step Functions execution [${parentArn}] ` +
    "which was managing this resource was aborted"
  );
}

/** AWS documents this limit but not what happens beyond it. */
const MAX_CAUSE_CHARACTERS = 32_768;
const INCLUDED = { Included: true };

function succeededChild(record: ExecutionRecord): object {
  return {
    ExecutionArn: record.arn,
    Input: JSON.parse(record.input),
    InputDetails: INCLUDED,
    Name: record.name,
    Output: JSON.parse(record.output ?? "null"),
    OutputDetails: INCLUDED,
    RedriveCount: 0,
    RedriveStatus: "NOT_REDRIVABLE",
    RedriveStatusReason: "Execution is SUCCEEDED and cannot be redriven",
    ...times(record),
  };
}

/** The input here is text for every version of the integration. */
function unsuccessfulChild(record: ExecutionRecord): object {
  const { cause, error } = record;
  return {
    ...(cause !== null && { Cause: cause }),
    ...(error !== null && { Error: error }),
    ExecutionArn: record.arn,
    Input: record.input,
    InputDetails: INCLUDED,
    Name: record.name,
    RedriveCount: 0,
    RedriveStatus: "REDRIVABLE",
    ...times(record),
  };
}

function times({ startedAt, machineArn, status, stoppedAt }: ExecutionRecord): object {
  return { StartDate: startedAt, StateMachineArn: machineArn, Status: status, StopDate: stoppedAt };
}

/** Errors that the Step Functions API defines keep their names. Others get the service's name. */
const NAMED = new Set([
  "ExecutionAlreadyExists",
  "ExecutionDoesNotExist",
  "InvalidArn",
  "InvalidExecutionInput",
  "InvalidName",
  "StateMachineDoesNotExist",
]);

function serviceFailure(error: unknown): Failure {
  const cause = error instanceof Error ? error.message : String(error);
  const name = error instanceof AwsError && NAMED.has(error.code) ? error.code : "AWSStepFunctions";
  return { error: `StepFunctions.${name}Exception`, cause };
}
