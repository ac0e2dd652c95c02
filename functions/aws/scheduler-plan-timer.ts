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

/** Until a run finds that the drill was lost. */
const DRILL_USEFUL_SECONDS = 3000;

const MINUTE_MS = 60_000;

/** Whether a recurring schedule fires exactly at its start is not documented, so it starts earlier. */
const STARTS_EARLIER_MS = 30_000;

export interface PlanTimerOptions {
  client: SchedulerClient;
  group: string;
  runPlanArn: string;
  watchPlanArn: string;
  drillPlanArn: string;
  wakeCutoverArn: string;
  /** What the scheduler acts as. */
  roleArn: string;
  clock: Clock;
}

/**
 * Schedules of EventBridge Scheduler for each plan and cutover. A plan's timer, that of its next drill and
 * that of a cutover are one-time schedules. The watch fires at one minute of every hour, but not before its
 * start.
 */
export class SchedulerPlanTimer implements PlanTimer {
  readonly #options: PlanTimerOptions;

  constructor(options: PlanTimerOptions) {
    this.#options = options;
  }

  async arm(planId: string, dueAt: number, usefulSeconds: number): Promise<void> {
    await this.#putOnce(
      { name: planId, function: this.#options.runPlanArn, usefulSeconds },
      { planId },
      dueAt,
    );
  }

  disarm(planId: string): Promise<void> {
    return this.#delete(planId);
  }

  async watch(planId: string, from: number): Promise<void> {
    const at = new Date(ceilTo(MINUTE_MS, Math.max(from, this.#options.clock.now() + SOONEST_MS)));
    await this.#put({
      Name: watchOf(planId),
      ScheduleExpression: `cron(${at.getUTCMinutes()} * * * ? *)`,
      StartDate: new Date(at.getTime() - STARTS_EARLIER_MS),
      Target: this.#target(this.#options.watchPlanArn, { planId }, 3000),
    });
  }

  unwatch(planId: string): Promise<void> {
    return this.#delete(watchOf(planId));
  }

  async armDrill(planId: string, dueAt: number): Promise<void> {
    const call = { function: this.#options.drillPlanArn, usefulSeconds: DRILL_USEFUL_SECONDS };
    await this.#putOnce({ name: drillOf(planId), ...call }, { planId }, dueAt);
  }

  disarmDrill(planId: string): Promise<void> {
    return this.#delete(drillOf(planId));
  }

  async armCutover(cutoverId: string, at: number): Promise<void> {
    const call = { function: this.#options.wakeCutoverArn, usefulSeconds: AGE_SECONDS.max };
    await this.#putOnce({ name: cutoverId, ...call }, { cutoverId }, at);
  }

  disarmCutover(cutoverId: string): Promise<void> {
    return this.#delete(cutoverId);
  }

  async #putOnce(
    { name, function: arn, usefulSeconds }: { name: string; function: string; usefulSeconds: number },
    subject: { planId: string } | { cutoverId: string },
    dueAt: number,
  ): Promise<void> {
    const at = Math.max(ceilTo(1000, dueAt), this.#options.clock.now() + SOONEST_MS);
    await this.#put({
      Name: name,
      ScheduleExpression: `at(${new Date(at).toISOString().slice(0, 19)})`,
      Target: this.#target(arn, { ...subject, dueAt: new Date(dueAt).toISOString() }, usefulSeconds),
    });
  }

  /** A call that is later than `usefulSeconds` makes way for the next one. */
  #target(Arn: string, input: object, usefulSeconds: number): CreateScheduleCommandInput["Target"] {
    return {
      Arn,
      RoleArn: this.#options.roleArn,
      Input: JSON.stringify(input),
      RetryPolicy: {
        MaximumEventAgeInSeconds: Math.min(Math.max(usefulSeconds, AGE_SECONDS.min), AGE_SECONDS.max),
        MaximumRetryAttempts: 10,
      },
    };
  }

  /** An update replaces everything, so creation and update send the same. */
  async #put(
    schedule: Pick<CreateScheduleCommandInput, "Name" | "ScheduleExpression" | "StartDate" | "Target">,
  ): Promise<void> {
    const whole: CreateScheduleCommandInput = {
      ...schedule,
      GroupName: this.#options.group,
      ScheduleExpressionTimezone: "UTC",
      FlexibleTimeWindow: { Mode: "OFF" },
      // A schedule that deletes itself after it fired could take its own successor with it.
      ActionAfterCompletion: "NONE",
      State: "ENABLED",
    };
    try {
      await this.#options.client.send(new UpdateScheduleCommand(whole));
    } catch (error) {
      if (!(error instanceof ResourceNotFoundException)) throw error;
      await this.#create(whole);
    }
  }

  /** Another request may have created it in between. */
  async #create(schedule: CreateScheduleCommandInput): Promise<void> {
    try {
      await this.#options.client.send(new CreateScheduleCommand(schedule));
    } catch (error) {
      if (!(error instanceof ConflictException)) throw error;
      await this.#options.client.send(new UpdateScheduleCommand(schedule));
    }
  }

  async #delete(name: string): Promise<void> {
    try {
      const schedule = { GroupName: this.#options.group, Name: name };
      await this.#options.client.send(new DeleteScheduleCommand(schedule));
    } catch (error) {
      if (!(error instanceof ResourceNotFoundException)) throw error;
    }
  }
}

function drillOf(planId: string): string {
  return `${planId}-drill`;
}

function watchOf(planId: string): string {
  return `${planId}-watch`;
}

function ceilTo(unitMs: number, time: number): number {
  return Math.ceil(time / unitMs) * unitMs;
}
