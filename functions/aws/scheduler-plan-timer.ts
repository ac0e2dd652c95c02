import {
  ConflictException,
  CreateScheduleCommand,
  type CreateScheduleCommandInput,
  DeleteScheduleCommand,
  ResourceNotFoundException,
  type SchedulerClient,
  UpdateScheduleCommand,
} from "@aws-sdk/client-scheduler";
import type { Clock, PlanTimer } from "../ports.ts";

/** A time that is past when the request arrives would never fire. */
const SOONEST_MS = 2000;

/** The limits of EventBridge Scheduler for the age of an event. */
const AGE_SECONDS = { min: 60, max: 86_400 };

/** One one-time schedule of EventBridge Scheduler for each plan, named by the plan. */
export class SchedulerPlanTimer implements PlanTimer {
  readonly #client: SchedulerClient;
  readonly #group: string;
  readonly #target: { Arn: string; RoleArn: string };
  readonly #clock: Clock;

  constructor({
    client,
    group,
    functionArn,
    roleArn,
    clock,
  }: {
    client: SchedulerClient;
    group: string;
    functionArn: string;
    /** What the scheduler acts as. */
    roleArn: string;
    clock: Clock;
  }) {
    this.#client = client;
    this.#group = group;
    this.#target = { Arn: functionArn, RoleArn: roleArn };
    this.#clock = clock;
  }

  async arm(planId: string, dueAt: number, usefulSeconds: number): Promise<void> {
    const schedule = this.#schedule(planId, dueAt, usefulSeconds);
    try {
      await this.#client.send(new UpdateScheduleCommand(schedule));
    } catch (error) {
      if (!(error instanceof ResourceNotFoundException)) throw error;
      await this.#create(schedule);
    }
  }

  async disarm(planId: string): Promise<void> {
    try {
      await this.#client.send(new DeleteScheduleCommand({ GroupName: this.#group, Name: planId }));
    } catch (error) {
      if (!(error instanceof ResourceNotFoundException)) throw error;
    }
  }

  /** Another request may have created it in between. */
  async #create(schedule: CreateScheduleCommandInput): Promise<void> {
    try {
      await this.#client.send(new CreateScheduleCommand(schedule));
    } catch (error) {
      if (!(error instanceof ConflictException)) throw error;
      await this.#client.send(new UpdateScheduleCommand(schedule));
    }
  }

  /** An update replaces everything, so creation and update send the same. */
  #schedule(planId: string, dueAt: number, usefulSeconds: number): CreateScheduleCommandInput {
    const at = Math.max(Math.ceil(dueAt / 1000) * 1000, this.#clock.now() + SOONEST_MS);
    return {
      GroupName: this.#group,
      Name: planId,
      ScheduleExpression: `at(${new Date(at).toISOString().slice(0, 19)})`,
      ScheduleExpressionTimezone: "UTC",
      FlexibleTimeWindow: { Mode: "OFF" },
      // A schedule that deletes itself after it fired could take its own successor with it.
      ActionAfterCompletion: "NONE",
      State: "ENABLED",
      Target: {
        ...this.#target,
        Input: JSON.stringify({ planId, dueAt: new Date(dueAt).toISOString() }),
        RetryPolicy: {
          MaximumEventAgeInSeconds: Math.min(Math.max(usefulSeconds, AGE_SECONDS.min), AGE_SECONDS.max),
          MaximumRetryAttempts: 10,
        },
      },
    };
  }
}
