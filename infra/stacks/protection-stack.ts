import { ArnFormat, Duration, Stack, type StackProps } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnSchedule, CfnScheduleGroup } from "aws-cdk-lib/aws-scheduler";
import type { Construct } from "constructs";
import type { FunctionName, Variables } from "#shared/environment.ts";
import { HandlerFunction } from "../constructs/handler-function.ts";
import { PLAN_SCHEDULES, RUN_PLAN_FUNCTION } from "../names.ts";
import { answerTasks, commandAgents, onExecutions, useTable } from "../statements.ts";
import type { DataStack } from "./data-stack.ts";
import type { WorkflowStack } from "./workflow-stack.ts";

export interface ProtectionStackProps extends StackProps {
  data: DataStack;
  workflow: WorkflowStack;
  bundles: Record<FunctionName, string>;
}

/**
 * What begins protection runs: a one-time schedule for each plan, which the functions set themselves, and one
 * schedule for the account that repairs what was interrupted.
 */
export class ProtectionStack extends Stack {
  /** The variables of each function that begins runs. */
  readonly variables: Variables<"schedule/run-plan">;
  /** Its rights. */
  readonly statements: PolicyStatement[];

  constructor(scope: Construct, id: string, { data, workflow, bundles, ...props }: ProtectionStackProps) {
    super(scope, id, props);
    const group = new CfnScheduleGroup(this, "PlanSchedules", { name: PLAN_SCHEDULES });
    const role = this.#schedulerRole();
    this.variables = {
      TABLE_NAME: data.table.tableName,
      COMMAND_KEY_ARN: data.commandKey.keyArn,
      PROTECTION_WORKFLOW_ARN: workflow.protectionRun.stateMachineArn,
      SCHEDULE_GROUP: PLAN_SCHEDULES,
      // By name, because a function cannot depend on itself.
      RUN_PLAN_FUNCTION_ARN: this.#functionArn(),
      SCHEDULER_ROLE_ARN: role.roleArn,
    };
    this.statements = [
      useTable(data.table),
      ...commandAgents(this, data.commandKey),
      answerTasks(...workflow.agentWorkflows),
      new PolicyStatement({
        actions: ["states:StartExecution"],
        resources: [workflow.protectionRun.stateMachineArn],
      }),
      onExecutions(this, ["states:DescribeExecution"], ["protection-run"]),
      new PolicyStatement({
        actions: ["scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"],
        resources: [
          this.formatArn({ service: "scheduler", resource: "schedule", resourceName: `${PLAN_SCHEDULES}/*` }),
        ],
      }),
      new PolicyStatement({
        actions: ["iam:PassRole"],
        resources: [role.roleArn],
        conditions: { StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } },
      }),
    ];
    const runPlan = new HandlerFunction<"schedule/run-plan">(this, "RunPlan", {
      name: "schedule/run-plan",
      functionName: RUN_PLAN_FUNCTION,
      bundle: bundles["schedule/run-plan"],
      environment: this.variables,
      statements: this.statements,
    });
    const watchPlans = new HandlerFunction<"schedule/watch-plans">(this, "WatchPlans", {
      name: "schedule/watch-plans",
      bundle: bundles["schedule/watch-plans"],
      environment: { ...this.variables, ...workflow.alarming.environment },
      statements: [...this.statements, ...workflow.alarming.statements],
      timeout: Duration.minutes(5),
    });
    role.addToPolicy(
      new PolicyStatement({
        actions: ["lambda:InvokeFunction"],
        resources: [runPlan.function.functionArn, watchPlans.function.functionArn],
      }),
    );
    new CfnSchedule(this, "Watch", {
      groupName: group.ref,
      scheduleExpression: "rate(15 minutes)",
      flexibleTimeWindow: { mode: "OFF" },
      target: {
        arn: watchPlans.function.functionArn,
        roleArn: role.roleArn,
        // The next call makes up for a lost one.
        retryPolicy: { maximumEventAgeInSeconds: 600, maximumRetryAttempts: 3 },
      },
    });
  }

  /** What EventBridge Scheduler acts as, for schedules of this group only. */
  #schedulerRole(): Role {
    const group = this.formatArn({
      service: "scheduler",
      resource: "schedule-group",
      resourceName: PLAN_SCHEDULES,
    });
    return new Role(this, "SchedulerRole", {
      assumedBy: new ServicePrincipal("scheduler.amazonaws.com", {
        conditions: { StringEquals: { "aws:SourceArn": group, "aws:SourceAccount": this.account } },
      }),
      description: "Calls the functions that begin protection runs",
    });
  }

  #functionArn(): string {
    return this.formatArn({
      service: "lambda",
      resource: "function",
      resourceName: RUN_PLAN_FUNCTION,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  }
}
