/**
 * The embedded scheduler in virtual time, asked through the client of AWS, and the functions that its
 * schedules call. Import it after `protected-source.ts`, whose world it moves.
 */
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { ManualClock } from "#local/core/clock.ts";
import type { LambdaInvocation } from "#local/core/service.ts";
import { PolicyEvaluator } from "#local/iam/policy-evaluator.ts";
import { SchedulerService } from "#local/scheduler/scheduler-service.ts";
import { Recorder, SchedulerWorld } from "#local/scheduler/testing/scheduler-world.ts";
import { SchedulerPlanTimer } from "../aws/scheduler-plan-timer.ts";
import type { WatchDeps } from "../protection/watch.ts";
import { run as drillPlan } from "../schedule/drill-plan.ts";
import { run as runPlan } from "../schedule/run-plan.ts";
import { run as watchPlan } from "../schedule/watch-plan.ts";
import { embeddedIn } from "./embedded-client.ts";
import { world } from "./protected-source.ts";

const MINUTE_MS = 60_000;
const RUN_PLAN = "arn:aws:lambda:local-1:000000000000:function:run-plan";
const DRILL_PLAN = "arn:aws:lambda:local-1:000000000000:function:drill-plan";
const WAKE_CUTOVER = "arn:aws:lambda:local-1:000000000000:function:wake-cutover";
const WATCH_PLAN = "arn:aws:lambda:local-1:000000000000:function:watch-plan";

const FUNCTIONS = { "run-plan": runPlan, "watch-plan": watchPlan, "drill-plan": drillPlan };

/** Keeps what schedules call until the test lets it run. */
class Calls extends Recorder {
  readonly waiting: LambdaInvocation[] = [];

  override enqueue(call: LambdaInvocation): void {
    this.waiting.push(call);
  }
}

export class ScheduledPlans {
  readonly clock = new ManualClock(world.nowMs);
  readonly calls = new Calls(this.clock);
  readonly deps: WatchDeps;
  /** As `HH:MM function`, of every call that was made. */
  readonly made: string[] = [];
  /** What happens to a call: it is made once, lost, or made twice. */
  fate: (name: keyof typeof FUNCTIONS) => number = () => 1;
  readonly #scheduler: SchedulerWorld;

  constructor() {
    this.#scheduler = new SchedulerWorld({ clock: this.clock, recorder: this.calls });
    const { scheduler } = this.#scheduler;
    scheduler.start();
    const timer = new SchedulerPlanTimer({
      client: new SchedulerClient(
        embeddedIn(new SchedulerService({ scheduler, authorizer: new PolicyEvaluator() })),
      ),
      group: "default",
      runPlanArn: RUN_PLAN,
      watchPlanArn: WATCH_PLAN,
      drillPlanArn: DRILL_PLAN,
      wakeCutoverArn: WAKE_CUTOVER,
      roleArn: "arn:aws:iam::000000000000:role/scheduler",
      clock: world.clock,
    });
    this.deps = { ...world, timer };
  }

  /** The plan's schedules, by name. */
  get schedules(): string[] {
    return this.#scheduler.scheduler.store
      .list({ namePrefix: "", after: { group: "", name: "" }, limit: 10 })
      .map(({ name }) => name);
  }

  /** The scheduler loses a schedule. */
  lose(name: string): void {
    this.#scheduler.scheduler.delete({ group: "default", name });
  }

  /** Lets the time pass minute by minute, and makes the calls that fall due. `after` each of them. */
  async passUntil(time: number, after: () => Promise<void> = async () => {}): Promise<void> {
    while (this.clock.now() < time) {
      await this.clock.advance(Math.min(MINUTE_MS, time - this.clock.now()));
      world.nowMs = this.clock.now();
      for (const call of this.calls.waiting.splice(0)) {
        const name = call.functionArn.slice(call.functionArn.lastIndexOf(":") + 1) as keyof typeof FUNCTIONS;
        for (let times = this.fate(name); times > 0; times--) await this.#make(name, call.payload);
        await after();
      }
    }
  }

  close(): void {
    this.#scheduler.scheduler.close();
  }

  async #make(name: keyof typeof FUNCTIONS, payload: unknown): Promise<void> {
    this.made.push(`${new Date(world.nowMs).toISOString().slice(11, 16)} ${name}`);
    await FUNCTIONS[name](payload, this.deps);
  }
}
