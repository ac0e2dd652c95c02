import { ArnFormat, Stack } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnScheduleGroup } from "aws-cdk-lib/aws-scheduler";
import { Construct } from "constructs";
import type { Variables } from "#shared/environment.ts";
import {
  DRILL_PLAN_FUNCTION,
  PLAN_SCHEDULES,
  RUN_PLAN_FUNCTION,
  WAKE_CUTOVER_FUNCTION,
  WATCH_PLAN_FUNCTION,
} from "../names.ts";

type ScheduleVariables = Pick<
  Variables<"schedule/run-plan">,
  | "SCHEDULE_GROUP"
  | "RUN_PLAN_FUNCTION_ARN"
  | "WATCH_PLAN_FUNCTION_ARN"
  | "DRILL_PLAN_FUNCTION_ARN"
  | "WAKE_CUTOVER_FUNCTION_ARN"
  | "SCHEDULER_ROLE_ARN"
>;

/**
 * The group of plans' and cutovers' schedules, which functions set themselves, and what a function has that
 * sets them. The functions that the schedules call are known by name, because they set schedules, too.
 */
export class PlanSchedules extends Construct {
  readonly environment: ScheduleVariables;
  readonly statements: readonly PolicyStatement[];

  constructor(scope: Construct, id: string) {
    super(scope, id);
    new CfnScheduleGroup(this, "Group", { name: PLAN_SCHEDULES });
    const runPlan = this.#functionArn(RUN_PLAN_FUNCTION);
    const watchPlan = this.#functionArn(WATCH_PLAN_FUNCTION);
    const drillPlan = this.#functionArn(DRILL_PLAN_FUNCTION);
    const wakeCutover = this.#functionArn(WAKE_CUTOVER_FUNCTION);
    const role = this.#role(runPlan, watchPlan, drillPlan, wakeCutover);
    this.environment = {
      SCHEDULE_GROUP: PLAN_SCHEDULES,
      RUN_PLAN_FUNCTION_ARN: runPlan,
      WATCH_PLAN_FUNCTION_ARN: watchPlan,
      DRILL_PLAN_FUNCTION_ARN: drillPlan,
      WAKE_CUTOVER_FUNCTION_ARN: wakeCutover,
      SCHEDULER_ROLE_ARN: role.roleArn,
    };
    const schedules = `${PLAN_SCHEDULES}/*`;
    this.statements = [
      new PolicyStatement({
        actions: ["scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"],
        resources: [
          Stack.of(this).formatArn({ service: "scheduler", resource: "schedule", resourceName: schedules }),
        ],
      }),
      new PolicyStatement({
        actions: ["iam:PassRole"],
        resources: [role.roleArn],
        conditions: { StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } },
      }),
    ];
  }

  /** What EventBridge Scheduler acts as, for schedules of this group only. */
  #role(...functions: string[]): Role {
    const { account } = Stack.of(this);
    const group = Stack.of(this).formatArn({
      service: "scheduler",
      resource: "schedule-group",
      resourceName: PLAN_SCHEDULES,
    });
    const role = new Role(this, "Role", {
      assumedBy: new ServicePrincipal("scheduler.amazonaws.com", {
        conditions: { StringEquals: { "aws:SourceArn": group, "aws:SourceAccount": account } },
      }),
      description:
        "Calls the functions that begin protection runs and drills, and look after plans and cutovers",
    });
    role.addToPolicy(new PolicyStatement({ actions: ["lambda:InvokeFunction"], resources: functions }));
    return role;
  }

  #functionArn(name: string): string {
    return Stack.of(this).formatArn({
      service: "lambda",
      resource: "function",
      resourceName: name,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  }
}
