import { ArnFormat, Duration, Stack, type StackProps } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnSchedule } from "aws-cdk-lib/aws-scheduler";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { FunctionName, Variables } from "#shared/environment.ts";
import {
  type CaptureWorkflow,
  captureWorkflows,
  type WorkflowName,
} from "#shared/protocol/conversion-types.ts";
import { AslStateMachine, type AslStateMachineProps } from "../constructs/asl-state-machine.ts";
import { HandlerFunction } from "../constructs/handler-function.ts";
import { PlanSchedules } from "../constructs/plan-schedules.ts";
import { COLLECTOR_ROLE, stateMachineName } from "../names.ts";
import {
  answerTasks,
  commandAgents,
  markPruned,
  onExecutions,
  raiseAlarms,
  startExecutions,
  useTable,
  useWebhookSecret,
  workAsCollector,
} from "../statements.ts";
import type { DataStack } from "./data-stack.ts";

type TaskName = Extract<FunctionName, `tasks/${string}`>;

export interface WorkflowStackProps extends StackProps {
  data: DataStack;
  bundles: Record<FunctionName, string>;
}

/** Their steps wait for agents. */
const AGENT_WORKFLOWS: readonly WorkflowName[] = [
  ...captureWorkflows,
  "make-clone",
  "prove-clone",
  "protection-run",
  "drill",
  "recovery",
  "synchronized-cutover",
  "check-repositories",
];

/** The workflows and the functions that their steps call. */
export class WorkflowStack extends Stack {
  /** Runs the conversions. */
  readonly conversion: StateMachine;
  /** Deletes what no recovery point needs. */
  readonly collectGarbage: StateMachine;
  /** Checks what is stored. */
  readonly checkRepositories: StateMachine;
  /** Runs the protection runs. */
  readonly protectionRun: StateMachine;
  /** Runs the drills. */
  readonly drill: StateMachine;
  /** Runs the recoveries. */
  readonly recovery: StateMachine;
  /** Runs the cutovers. */
  readonly cutover: StateMachine;
  /** The machines whose steps wait for agents, by ARN. */
  readonly agentWorkflows: readonly string[];
  /** What every function has that raises or clears alarms. */
  readonly alarming: {
    environment: { ALARM_TOPIC_ARN: string; WEBHOOK_WORKFLOW_ARN: string };
    statements: PolicyStatement[];
  };

  /** What every function has that sets plans' schedules. */
  readonly planSchedules: PlanSchedules;

  constructor(scope: Construct, id: string, { data, bundles, ...props }: WorkflowStackProps) {
    super(scope, id, props);
    this.planSchedules = new PlanSchedules(this, "PlanSchedules");
    this.alarming = this.#alarming(data);
    const functions = this.#functions(data, bundles);
    const machine = (name: WorkflowName, more: Partial<AslStateMachineProps> = {}): StateMachine =>
      new AslStateMachine(this, inPascalCase(name), {
        name: stateMachineName(name),
        definition: `${name}.asl.json`,
        functions,
        ...more,
      }).stateMachine;
    const captures = Object.fromEntries(captureWorkflows.map((name) => [name, machine(name)])) as Record<
      CaptureWorkflow,
      StateMachine
    >;
    const proveClone = machine("prove-clone");
    const makeClone = machine("make-clone", {
      substitutions: { ProveCloneWorkflowArn: proveClone.stateMachineArn },
      statements: startExecutions(this, { "prove-clone": proveClone }),
    });
    machine("send-webhook");
    this.conversion = machine("conversion", {
      substitutions: {
        CaptureWorkflowArns: jsonataObject(captures),
        MakeCloneWorkflowArn: makeClone.stateMachineArn,
      },
      statements: startExecutions(this, { ...captures, "make-clone": makeClone }),
    });
    this.collectGarbage = machine("collect-garbage");
    // At an hour when little else runs. Checks go first: what they find damaged is still there as a version.
    this.#everyWeek("CollectGarbage", this.collectGarbage, { day: "SUN", input: { dryRun: false } });
    this.checkRepositories = machine("check-repositories");
    this.#everyWeek("CheckRepositories", this.checkRepositories, { day: "SAT", input: { whole: false } });
    this.protectionRun = machine("protection-run", {
      substitutions: { HotCaptureWorkflowArn: captures["hot-capture"].stateMachineArn },
      statements: startExecutions(this, { "hot-capture": captures["hot-capture"] }),
    });
    this.drill = machine("drill", {
      substitutions: { MakeCloneWorkflowArn: makeClone.stateMachineArn },
      statements: startExecutions(this, { "make-clone": makeClone }),
    });
    this.recovery = machine("recovery", {
      substitutions: {
        MakeCloneWorkflowArn: makeClone.stateMachineArn,
        ProveCloneWorkflowArn: proveClone.stateMachineArn,
      },
      statements: startExecutions(this, { "make-clone": makeClone, "prove-clone": proveClone }),
    });
    this.cutover = machine("synchronized-cutover", {
      substitutions: {
        ProtectionRunWorkflowArn: this.protectionRun.stateMachineArn,
        ProveCloneWorkflowArn: proveClone.stateMachineArn,
      },
      statements: startExecutions(this, { "protection-run": this.protectionRun, "prove-clone": proveClone }),
    });
    this.agentWorkflows = [
      ...Object.values(captures),
      ...[makeClone, proveClone, this.protectionRun, this.drill, this.recovery, this.cutover],
      this.checkRepositories,
    ].map(({ stateMachineArn }) => stateMachineArn);
  }

  /** What the steps call, by the names of the definitions' placeholders. */
  #functions(data: DataStack, bundles: Record<FunctionName, string>): Record<string, HandlerFunction> {
    const table = { TABLE_NAME: data.table.tableName };
    const task = <N extends TaskName>(
      construct: string,
      name: N,
      environment: Variables<N>,
      ...statements: PolicyStatement[]
    ): HandlerFunction =>
      new HandlerFunction<N>(this, construct, {
        name,
        bundle: bundles[name],
        environment,
        statements: [useTable(data.table), ...statements],
      });
    const answer = answerTasks(...AGENT_WORKFLOWS.map((workflow) => this.#arnOf(workflow)));
    const commanding = { ...table, COMMAND_KEY_ARN: data.commandKey.keyArn };
    const command = [...commandAgents(this, data.commandKey), answer];
    const alarming = { ...table, ...this.alarming.environment };
    const raise = this.alarming.statements;
    const cutovers = this.#cutoverFunctions(task, { table, commanding, command });
    const finishing = {
      ...{ ...alarming, BUCKET_NAME: data.bucket.bucketName },
      ...this.planSchedules.environment,
    };
    return {
      CheckPreflight: task("CheckPreflight", "tasks/check-preflight", table),
      DispatchCommand: task("DispatchCommand", "tasks/dispatch-command", commanding, ...command),
      RecordRecoveryPoint: task("RecordRecoveryPoint", "tasks/record-recovery-point", alarming, ...raise),
      ListRepositories: task("ListRepositories", "tasks/list-repositories", table),
      CollectGarbage: this.#collector(data, bundles["tasks/collect-garbage"]),
      CompleteConversion: task("CompleteConversion", "tasks/complete-conversion", table),
      FinishRun: task(
        "FinishRun",
        "tasks/finish-run",
        finishing,
        markPruned(data.bucket),
        ...this.planSchedules.statements,
        ...raise,
      ),
      AbandonRun: task("AbandonRun", "tasks/abandon-run", commanding, ...command),
      RecordProof: task("RecordProof", "tasks/record-proof", commanding, ...command),
      RecordVerdict: task("RecordVerdict", "tasks/record-verdict", alarming, ...raise),
      FinishDrill: task("FinishDrill", "tasks/finish-drill", table),
      AbandonDrill: task(
        "AbandonDrill",
        "tasks/abandon-drill",
        { ...commanding, ...alarming },
        ...command,
        ...raise,
      ),
      MoveLease: task("MoveLease", "tasks/move-lease", commanding, ...command),
      FinishRecovery: task("FinishRecovery", "tasks/finish-recovery", table),
      AbandonRecovery: task("AbandonRecovery", "tasks/abandon-recovery", commanding, ...command),
      ...cutovers,
      BeginCheck: task("BeginCheck", "tasks/begin-check", table),
      EndCheck: task("EndCheck", "tasks/end-check", { ...commanding, ...alarming }, ...command, ...raise),
      AbandonConversion: task(
        "AbandonConversion",
        "tasks/abandon-conversion",
        { ...commanding, ...alarming },
        ...command,
        ...raise,
      ),
      SendWebhook: this.#webhookSender(data, bundles["tasks/send-webhook"]),
    };
  }

  /** What the steps of cutovers call. */
  #cutoverFunctions(
    task: <N extends TaskName>(
      construct: string,
      name: N,
      environment: Variables<N>,
      ...statements: PolicyStatement[]
    ) => HandlerFunction,
    {
      table,
      commanding,
      command,
    }: {
      table: { TABLE_NAME: string };
      commanding: { TABLE_NAME: string; COMMAND_KEY_ARN: string };
      command: PolicyStatement[];
    },
  ): Record<string, HandlerFunction> {
    const { environment: schedules, statements: schedule } = this.planSchedules;
    const { environment: alarms, statements: raise } = this.alarming;
    const run = this.#arnOf("protection-run");
    const protecting = { ...commanding, ...schedules, PROTECTION_WORKFLOW_ARN: run };
    const look = onExecutions(this, ["states:DescribeExecution"], ["protection-run"]);
    return {
      AwaitCutoverStart: task(
        "AwaitCutoverStart",
        "tasks/await-cutover-start",
        { ...table, ...schedules, ...alarms },
        answerTasks(this.#arnOf("synchronized-cutover")),
        ...schedule,
        ...raise,
      ),
      StartCutover: task(
        "StartCutover",
        "tasks/start-cutover",
        { ...table, ...schedules, ...alarms },
        ...schedule,
        ...raise,
      ),
      BeginCutoverRun: task("BeginCutoverRun", "tasks/begin-cutover-run", protecting, ...command, look),
      EndCutoverRun: task("EndCutoverRun", "tasks/end-cutover-run", table),
      MoveCutoverLease: task("MoveCutoverLease", "tasks/move-cutover-lease", commanding, ...command),
      FinishCutover: task(
        "FinishCutover",
        "tasks/finish-cutover",
        { ...table, ...schedules, ...alarms },
        ...schedule,
        ...raise,
      ),
      RollBackCutover: task("RollBackCutover", "tasks/roll-back-cutover", protecting, ...command, look),
      EndCutover: task(
        "EndCutover",
        "tasks/end-cutover",
        { ...commanding, ...schedules, ...alarms },
        ...command,
        ...schedule,
        ...raise,
      ),
    };
  }

  /** A mark is kept in memory, about a hundred bytes for each pack and each node of a disk map. */
  #collector(data: DataStack, bundle: string): HandlerFunction {
    return new HandlerFunction<"tasks/collect-garbage">(this, "CollectGarbageFunction", {
      name: "tasks/collect-garbage",
      bundle,
      environment: { TABLE_NAME: data.table.tableName, BUCKET_NAME: data.bucket.bucketName },
      statements: [useTable(data.table), ...workAsCollector(data.bucket, data.key)],
      roleName: COLLECTOR_ROLE,
      timeout: Duration.minutes(15),
      memoryMiB: 2048,
    });
  }

  /** At 3:00 UTC on this day of the week. */
  #everyWeek(
    construct: string,
    workflow: StateMachine,
    { day, input }: { day: "SAT" | "SUN"; input: object },
  ): void {
    const role = new Role(this, `${construct}ScheduleRole`, {
      description: `Starts ${workflow.stateMachineName} every week`,
      assumedBy: new ServicePrincipal("scheduler.amazonaws.com"),
    });
    role.addToPolicy(
      new PolicyStatement({
        actions: ["states:StartExecution"],
        resources: [workflow.stateMachineArn],
      }),
    );
    new CfnSchedule(this, `${construct}Schedule`, {
      description: `Starts ${workflow.stateMachineName}`,
      scheduleExpression: `cron(0 3 ? * ${day} *)`,
      scheduleExpressionTimezone: "UTC",
      flexibleTimeWindow: { mode: "OFF" },
      target: {
        arn: workflow.stateMachineArn,
        roleArn: role.roleArn,
        input: JSON.stringify(input),
      },
    });
  }

  /** The only function that reads the webhook's secret. */
  #webhookSender({ table, key }: DataStack, bundle: string): HandlerFunction {
    return new HandlerFunction<"tasks/send-webhook">(this, "PostWebhook", {
      name: "tasks/send-webhook",
      bundle,
      environment: { TABLE_NAME: table.tableName, KMS_KEY_ARN: key.keyArn },
      statements: [useTable(table), useWebhookSecret(key, "kms:Decrypt")],
    });
  }

  #alarming({ alarms }: DataStack): WorkflowStack["alarming"] {
    const sendWebhookArn = this.#arnOf("send-webhook");
    return {
      environment: { ALARM_TOPIC_ARN: alarms.topicArn, WEBHOOK_WORKFLOW_ARN: sendWebhookArn },
      statements: raiseAlarms(alarms, sendWebhookArn),
    };
  }

  /** By name, because state machines depend on their functions, so functions cannot depend on them. */
  #arnOf(workflow: WorkflowName): string {
    return this.formatArn({
      service: "states",
      resource: "stateMachine",
      resourceName: stateMachineName(workflow),
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  }
}

/** The machines' ARNs by name, as JSONata inside a JSON text: it has no double quotes. */
function jsonataObject(machines: Readonly<Record<string, StateMachine>>): string {
  const entries = Object.entries(machines).map(
    ([name, { stateMachineArn }]) => `'${name}': '${stateMachineArn}'`,
  );
  return `{${entries.join(", ")}}`;
}

function inPascalCase(name: string): string {
  return name.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
}
