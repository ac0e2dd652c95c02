import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import type { Caller, Clock, Timer } from "../core/service.ts";
import type { LogSink } from "../lambda/log-sink.ts";
import { type ScheduleDefinition, type ScheduleKey, scheduleArn } from "./schedule.ts";
import { parseExpression, type Timetable } from "./schedule-expression.ts";
import { type Delivery, ScheduleStore, type StoredSchedule } from "./schedule-store.ts";
import { assumeTargetRole, checkInput, deliver, type TargetPorts } from "./targets.ts";

export interface SchedulerOptions extends TargetPorts {
  /** Holds the schedules and what has not reached its target yet. */
  dataDirectory: string;
  clock: Clock;
  /** A new UUID. */
  newId: () => string;
  log: LogSink;
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 5 * 60_000;

/**
 * Fires schedules when they are due. What fell due while the embedded cloud was down is fired once at the
 * next start, as long as it is not older than the target's maximum event age: a one-time schedule, and of a
 * recurring one the latest time only.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #store: ScheduleStore;
  readonly #groups = new Set(["default"]);
  readonly #delivering = new Set<string>();
  #timer: Timer | undefined;
  #started = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    mkdirSync(options.dataDirectory, { recursive: true });
    this.#store = new ScheduleStore(join(options.dataDirectory, "schedules.sqlite"));
  }

  get store(): ScheduleStore {
    return this.#store;
  }

  /** Begins to fire: call it once everything is provisioned. */
  start(): void {
    this.#started = true;
    this.#run();
  }

  close(): void {
    this.#started = false;
    this.#timer?.cancel();
    this.#store.close();
  }

  putGroup(name: string): void {
    this.#groups.add(name);
  }

  /** Throws `ResourceNotFoundException`. */
  get(key: ScheduleKey): StoredSchedule {
    const found = this.#store.get(key);
    if (!found) throw notFound(`Schedule ${key.name} does not exist.`);
    return found;
  }

  /**
   * Throws `ConflictException` when the name is taken, unless by the same call with the same token. `caller`
   * must be allowed to pass the target's role, and the role must let the scheduler assume it.
   */
  create(
    key: ScheduleKey,
    definition: ScheduleDefinition,
    request: { caller?: Caller; clientToken?: string },
  ): void {
    if (!this.#groups.has(key.group)) throw notFound(`Schedule group ${key.group} does not exist.`);
    const existing = this.#store.get(key);
    if (existing) {
      if (request.clientToken !== undefined && existing.clientToken === request.clientToken) return;
      throw new AwsError("ConflictException", `Schedule ${key.name} already exists.`, 409);
    }
    const now = this.#options.clock.now();
    const timetable = this.#check(key, definition, now, request.caller);
    if (timetable.isOnce && timetable.next(now, now) === undefined && definition.State === "ENABLED") {
      throw new AwsError("ValidationException", "The time of the schedule must be in the future.");
    }
    this.#save({
      ...key,
      definition,
      createdAt: now,
      modifiedAt: now,
      anchor: anchorOf(definition, now),
      nextDueAt: undefined,
      clientToken: request.clientToken,
    });
  }

  /** Replaces the whole definition. A rate starts again when the expression or the start changes. */
  update(key: ScheduleKey, definition: ScheduleDefinition, request: { caller?: Caller }): void {
    const existing = this.get(key);
    const now = this.#options.clock.now();
    this.#check(key, definition, now, request.caller);
    const before = existing.definition;
    const keepsPace =
      before.ScheduleExpression === definition.ScheduleExpression &&
      before.StartDate === definition.StartDate;
    const anchor = keepsPace ? existing.anchor : anchorOf(definition, now);
    this.#save({ ...existing, definition, modifiedAt: now, anchor });
  }

  delete(key: ScheduleKey): void {
    this.get(key);
    this.#store.delete(key);
    this.#run();
  }

  #check(
    key: ScheduleKey,
    definition: ScheduleDefinition,
    now: number,
    caller: Caller | undefined,
  ): Timetable {
    const { Target: target, StartDate: start, EndDate: end } = definition;
    const timetable = parseExpression(definition.ScheduleExpression, definition.ScheduleExpressionTimezone);
    if (definition.FlexibleTimeWindow.Mode !== "OFF") throw new UnsupportedError("flexible time windows");
    if (end !== undefined && end <= now) invalid("The EndDate must be in the future.");
    if (end !== undefined && start !== undefined && end <= start)
      invalid("The EndDate must be after the StartDate.");
    checkInput(target);
    if (caller) {
      this.#options.authorizer.authorize(caller, {
        action: "iam:PassRole",
        resource: target.RoleArn,
        context: { "iam:PassedToService": "scheduler.amazonaws.com" },
      });
    }
    try {
      assumeTargetRole(key, target, this.#options.roles);
    } catch (cause) {
      if (!(cause instanceof AwsError) || cause instanceof UnsupportedError) throw cause;
      const message =
        "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.";
      throw new AwsError("ValidationException", message, 400, { cause });
    }
    return timetable;
  }

  #save(schedule: StoredSchedule): void {
    // From just before now, so that a rate without a start fires at once.
    const nextDueAt = occurrences(schedule)(this.#options.clock.now() - 1);
    this.#store.put({ ...schedule, nextDueAt });
    this.#run();
  }

  /** Fires what is due, hands over what is pending, and sets the timer for the next. */
  #run(): void {
    if (!this.#started) return;
    const { clock } = this.#options;
    this.#timer?.cancel();
    const now = clock.now();
    for (const schedule of this.#store.due(now)) this.#fire(schedule, now);
    const waiting: number[] = [];
    for (const delivery of this.#store.deliveries()) {
      if (this.#delivering.has(delivery.id)) continue;
      if (delivery.dueAt <= now) void this.#deliver(delivery);
      else waiting.push(delivery.dueAt);
    }
    const nextDueAt = Math.min(this.#store.nextScheduleDueAt() ?? Number.POSITIVE_INFINITY, ...waiting);
    if (nextDueAt !== Number.POSITIVE_INFINITY) {
      this.#timer = clock.schedule(nextDueAt - now, () => this.#run());
    }
  }

  #fire(schedule: StoredSchedule, now: number): void {
    const { group, name, definition } = schedule;
    const scheduledAt = latestDue(schedule, now);
    if (scheduledAt === undefined) this.#logLost(schedule, "it fell due too long ago");
    const delivery = scheduledAt !== undefined && {
      id: this.#options.newId(),
      group,
      name,
      target: definition.Target,
      scheduledAt,
      failures: 0,
      dueAt: now,
    };
    const nextDueAt = occurrences(schedule)(now);
    const remains = nextDueAt !== undefined || definition.ActionAfterCompletion === "NONE";
    this.#store.fire(delivery || undefined, { ...schedule, nextDueAt }, remains);
  }

  async #deliver(delivery: Delivery): Promise<void> {
    this.#delivering.add(delivery.id);
    try {
      await deliver(delivery, this.#options);
      // When it was closed in between, the delivery is repeated after the next start.
      if (this.#started) this.#store.deleteDelivery(delivery.id);
    } catch (error) {
      if (this.#started) this.#failed(delivery, error);
    }
    this.#delivering.delete(delivery.id);
    this.#run();
  }

  #failed(delivery: Delivery, error: unknown): void {
    const failures = delivery.failures + 1;
    const { MaximumRetryAttempts, MaximumEventAgeInSeconds } = delivery.target.RetryPolicy;
    const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
    const dueAt = this.#options.clock.now() + delayMs;
    const isTooOld = dueAt - delivery.scheduledAt > MaximumEventAgeInSeconds * 1000;
    if (isPermanent(error) || failures > MaximumRetryAttempts || isTooOld) {
      this.#store.deleteDelivery(delivery.id);
      this.#logLost(delivery, String(error));
    } else {
      this.#store.putDelivery({ ...delivery, failures, dueAt });
    }
  }

  #logLost(key: ScheduleKey, cause: string): void {
    const message = { message: "schedule did not reach its target", schedule: scheduleArn(key), cause };
    this.#options.log.write("scheduler", { level: "ERROR", message });
  }
}

function anchorOf(definition: ScheduleDefinition, now: number): number {
  // Whole seconds, because the scheduled time for targets has no fractions.
  return definition.StartDate ?? Math.floor(now / 1000) * 1000;
}

/** Gives the first time after another at which the schedule fires, within its dates. */
function occurrences({ definition, anchor }: StoredSchedule): (after: number) => number | undefined {
  if (definition.State === "DISABLED") return () => undefined;
  const timetable = parseExpression(definition.ScheduleExpression, definition.ScheduleExpressionTimezone);
  // One-time schedules know no dates.
  if (timetable.isOnce) return (after) => timetable.next(after, anchor);
  const { StartDate = 0, EndDate = Number.POSITIVE_INFINITY } = definition;
  return (after) => {
    const next = timetable.next(Math.max(after, StartDate - 1), anchor);
    return next === undefined || next > EndDate ? undefined : next;
  };
}

/**
 * The last time at which the schedule should have fired by now, unless that is older than its target wants.
 */
function latestDue(schedule: StoredSchedule, now: number): number | undefined {
  const oldest = now - schedule.definition.Target.RetryPolicy.MaximumEventAgeInSeconds * 1000;
  const nextAfter = occurrences(schedule);
  let latest: number | undefined;
  let due = nextAfter(Math.max(schedule.nextDueAt ?? now, oldest) - 1);
  while (due !== undefined && due <= now) {
    latest = due;
    due = nextAfter(due);
  }
  return latest;
}

/** Another attempt would end the same way. */
function isPermanent(error: unknown): boolean {
  return error instanceof AwsError && error.status < 500 && error.status !== 429;
}

function invalid(message: string): never {
  throw new AwsError("ValidationException", message);
}

function notFound(message: string): AwsError {
  return new AwsError("ResourceNotFoundException", message, 404);
}
