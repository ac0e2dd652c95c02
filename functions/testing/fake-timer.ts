import type { PlanTimer } from "../ports.ts";
import type { Outage } from "./outage.ts";

/** Plans' timers and watches, which tests fire themselves. */
export class FakeTimer implements PlanTimer {
  /** When each plan's timer fires. */
  readonly armed = new Map<string, number>();
  /** From when each plan's watch fires. */
  readonly watched = new Map<string, number>();
  /** When each plan's next drill is due. */
  readonly drills = new Map<string, number>();
  /** When each cutover is looked at next. */
  readonly cutovers = new Map<string, number>();
  readonly #outage: Outage;

  constructor(outage: Outage) {
    this.#outage = outage;
  }

  async arm(planId: string, dueAt: number): Promise<void> {
    this.#outage.check("arm");
    this.armed.set(planId, dueAt);
  }

  async disarm(planId: string): Promise<void> {
    this.#outage.check("disarm");
    this.armed.delete(planId);
  }

  async watch(planId: string, from: number): Promise<void> {
    this.#outage.check("watch");
    this.watched.set(planId, from);
  }

  async unwatch(planId: string): Promise<void> {
    this.#outage.check("unwatch");
    this.watched.delete(planId);
  }

  async armDrill(planId: string, dueAt: number): Promise<void> {
    this.#outage.check("armDrill");
    this.drills.set(planId, dueAt);
  }

  async disarmDrill(planId: string): Promise<void> {
    this.#outage.check("disarmDrill");
    this.drills.delete(planId);
  }

  async armCutover(cutoverId: string, at: number): Promise<void> {
    this.#outage.check("armCutover");
    this.cutovers.set(cutoverId, at);
  }

  async disarmCutover(cutoverId: string): Promise<void> {
    this.#outage.check("disarmCutover");
    this.cutovers.delete(cutoverId);
  }
}
