/** A cutover among agents, a network, a scheduler and people that do what random conditions say. */
import { type CutoverRecord, cutoverHasEnded, isBefore } from "#shared/domain/cutover/cutover.ts";
import { openingsFrom } from "#shared/domain/cutover/window.ts";
import { ServiceUnavailableError } from "#shared/errors.ts";
import type { ToAgent } from "#shared/protocol/commands.ts";
import { renewLease } from "../../api/leases.ts";
import { wakeCutover } from "../../cutover/wake-cutover.ts";
import { run as ingest } from "../../ingest/agent-events.ts";
import { CutoverSite } from "../cutover-site.ts";
import { commandKey } from "../site-commands.ts";
import { planId } from "../site-records.ts";
import type { Conditions, Event, Fate, Happening } from "./conditions.ts";
import type { ModelAgent, Work } from "./model-agent.ts";
import { ModelSource } from "./model-source.ts";
import { ModelTarget } from "./model-target.ts";
import { KilledError, MortalTable } from "./mortal-table.ts";
import { runPlan, tableWithStandby } from "./standby-table.ts";

/** What the target host finds, besides the ordinary, if files are compared. */
const COMPARED = {
  equal: {},
  different: { equal: 1, different: 1 },
  moved: { equal: 1, moved: 1 },
};
/** Asked while the machine is isolated, and again once it is connected. */
const CHECK = { kind: "tcp", host: "192.0.2.10", port: 5432 };
const AGAIN_MS = 60_000;
const SCHEDULER_MS = 3_000;
/** The agent gives up an answer to a renewal that is later. */
const RENEWAL_LIMIT_SECONDS = 10;

export class OrderWorld {
  readonly site: CutoverSite;
  readonly source: ModelSource;
  readonly target: ModelTarget;
  id = "";
  /** How many of the conditions' happenings have happened. */
  happened = 0;
  readonly #conditions: Conditions;
  readonly #table: MortalTable;
  readonly #fates: Fate[];
  readonly #timerCalls: Fate[];
  readonly #works: Record<string, Work[]>;
  /** How often a function or a command has begun. */
  readonly #begun = new Map<string, number>();
  #calls = 0;
  #isCalm = false;

  static async start(conditions: Conditions, onEnd: (end: () => Promise<void>) => void): Promise<OrderWorld> {
    const table = new MortalTable();
    if (conditions.hasStandby) table.copyFrom(await tableWithStandby());
    const world = new OrderWorld(
      conditions,
      table,
      await CutoverSite.start({}, { table, isRestartable: true, onEnd }),
    );
    await world.#continue();
    const { quiesce, mode, needsApproval, adapt, proves, checksAnswer, switchSourceOff } = conditions;
    const windows = [{ firstDay: "2030-01-01", from: "01:00", to: conditions.windowEnd, timeZone: "UTC" }];
    world.id = await world.site.request({
      ...{ quiesce, mode, needsApproval, adapt, switchSourceOff, windows },
      ...(proves && { proveSeconds: 30 }),
      ...(checksAnswer && { check: CHECK }),
    });
    for (const one of conditions.happenings)
      if ("minute" in one.when)
        world.#later(Date.UTC(2030, 0, 1, 0, one.when.minute) - world.site.now, () => world.#happen(one));
    await world.site.settle();
    return world;
  }

  private constructor(conditions: Conditions, table: MortalTable, site: CutoverSite) {
    this.#conditions = conditions;
    this.#table = table;
    this.site = site;
    this.#fates = [...conditions.fates];
    this.#timerCalls = [...conditions.calls];
    this.#works = Object.fromEntries(
      Object.entries(conditions.works).map(([key, works]) => [key, [...works]]),
    );
    const around = {
      drift: conditions.drift,
      compared: COMPARED[conditions.proves || "equal"],
      now: () => site.now,
      later: (ms: number, run: () => Promise<void>) => this.#later(ms, run),
      publish: (agentId: string, event: object) =>
        this.#carry(this.#fates, async () => this.#ingest(agentId, event)),
      workOn: (key: string) => (this.#isCalm ? undefined : this.#works[key]?.shift()) ?? { seconds: 1 },
      renew: (ownerId: string, term: number) => this.#renew(ownerId, term),
    };
    const look = () => this.#requireOne();
    this.source = new ModelSource(around, look);
    this.target = new ModelTarget(around, look);
    table.onDeath = () => this.#restart();
    site.obey = async (agentId, message) => this.#send(this.#agent(agentId), message);
    // A scheduler calls some time after it is due.
    site.fate = (id) => {
      this.#later(SCHEDULER_MS, async () => this.#carry(this.#timerCalls, () => this.#wake(id)));
      return 0;
    };
    site.onCall = (name, payload) => {
      this.#otherClock();
      this.#begins([name, (payload as { action?: string }).action]);
    };
  }

  /** Half an hour after what was in the table. */
  async #continue(): Promise<void> {
    await this.site.pass(30 * 60_000);
    const { standbyPointId } = await this.site.world.store.plans.get(planId);
    if (standbyPointId === undefined) return;
    this.target.standby = standbyPointId;
    this.source.points.set(standbyPointId, 0);
  }

  /** The cutover as it is. */
  cutover(): Promise<CutoverRecord> {
    return this.site.cutover(this.id);
  }

  /** How many run: the source, and machines in its place. */
  get running(): number {
    return (this.source.serves ? 1 : 0) + this.target.running.length;
  }

  /** Until the end of the last window or now, whichever is later. */
  async passWindows(): Promise<void> {
    const { windows } = await this.cutover();
    const last = openingsFrom(windows, Date.UTC(2030, 0, 1)).at(-1);
    await this.site.pass(Math.max(0, (last?.closesAt ?? 0) - this.site.now));
  }

  /** From now on everything works, and whatever waits for an agent or for a person's look gets it. */
  async calm(): Promise<void> {
    this.#isCalm = true;
    this.#table.revive();
    await this.site.states.reopen(() => this.site.states.store);
    for (const agent of [this.source, this.target]) {
      agent.kill();
      agent.isLinked = true;
      agent.start();
    }
    await this.site.settle();
    const cutover = await this.cutover();
    const { executions } = cutover;
    const isRunning = await this.site.deps.cutovers.isRunning(executionName(this.id, executions));
    if (!cutoverHasEnded(cutover) && !isRunning) await this.end();
  }

  /** A person ends it, if it has not ended and has not committed. */
  async end(): Promise<void> {
    const word = isBefore(await this.cutover()) ? "cancel" : "rollback";
    await this.site.api(`POST /cutovers/{id}/${word}`, this.id);
  }

  /** Each call of a function may be on another machine. */
  #otherClock(): void {
    const { skewsMs } = this.#conditions;
    this.site.skewMs = skewsMs[this.#calls++ % skewsMs.length] ?? 0;
  }

  #requireOne(): void {
    if (this.running > 1) throw new Error("the source and a machine in its place both run");
  }

  #later(ms: number, run: () => Promise<void>): void {
    this.site.states.clock.schedule(ms, () => this.site.beside(run));
  }

  #agent(agentId: string): ModelAgent {
    return agentId === "agt_source" ? this.source : this.target;
  }

  /** Through a network that loses, repeats and delays. */
  #carry(fates: Fate[], deliver: () => Promise<void>): void {
    const fate = this.#isCalm ? "arrives" : (fates.shift() ?? "arrives");
    if (fate === "lost") return;
    this.#later(typeof fate === "number" ? fate * 1000 : 0, deliver);
    if (fate === "twice") this.#later(0, deliver);
  }

  #send(agent: ModelAgent, message: ToAgent): void {
    const sentAt = this.site.now;
    if (message.type === "command") this.#begins([commandKey(message)]);
    this.#carry(this.#fates, async () => {
      if (agent.isLinked) agent.take(message, sentAt);
    });
  }

  /** The rule of the topic calls the function again if it was killed. */
  async #ingest(agentId: string, event: object): Promise<void> {
    await this.#untilAlive(() => ingest({ agentId, event }, this.site.deps));
  }

  async #wake(id: string): Promise<void> {
    await this.#untilAlive(() => wakeCutover(id, this.site.deps));
  }

  async #untilAlive(call: () => Promise<void>): Promise<void> {
    this.#otherClock();
    try {
      await call();
    } catch (error) {
      if (!(error instanceof KilledError)) throw error;
      this.#later(AGAIN_MS, () => this.#untilAlive(call));
    }
  }

  async #renew(ownerId: string, term: number): Promise<{ isPermanent: boolean }> {
    const fate = this.#isCalm ? "arrives" : (this.#fates.shift() ?? "arrives");
    const seconds = typeof fate === "number" ? fate : 0;
    const gone = new ServiceUnavailableError("no answer");
    if (!this.target.isLinked || fate === "lost" || seconds > RENEWAL_LIMIT_SECONDS) throw gone;
    this.#otherClock();
    const actor = { kind: "certificate", id: "d".repeat(64) } as const;
    const call = { path: { id: ownerId }, body: { term }, query: undefined, actor };
    const answer = await renewLease(
      { ...call, idempotencyKey: undefined, apiUrl: "http://aws.local", address: "192.0.2.2" },
      this.site.deps,
    ).catch((error: unknown) => {
      throw error instanceof KilledError ? gone : error;
    });
    if (seconds > 0) await new Promise<void>((resolve) => this.#later(seconds * 1000, async () => resolve()));
    if (!this.target.isLinked) throw gone;
    return answer;
  }

  #begins(names: (string | undefined)[]): void {
    const name = names.filter(Boolean).join(" ");
    const nth = (this.#begun.get(name) ?? 0) + 1;
    this.#begun.set(name, nth);
    for (const one of this.#conditions.happenings) {
      const { when } = one;
      if ("on" in when && when.on === name && when.nth === nth)
        this.#later(when.seconds * 1000, () => this.#happen(one));
    }
  }

  async #happen({ what }: Happening): Promise<void> {
    if (this.#isCalm) return;
    this.happened += 1;
    const { site } = this;
    if (what === "stop") {
      const { executions } = await this.cutover();
      await site.deps.cutovers.stop(executionName(this.id, executions));
    } else if (what === "wake") await this.#wake(this.id);
    else if (what === "tick") await this.#tick();
    else if ("says" in what) await this.#say(what.says);
    else if ("die" in what) this.#table.dieAfter(what.die);
    else this.#strike(what);
  }

  #strike(what: Extract<Event, { seconds: number }>): void {
    const isCut = "cut" in what;
    const agent = "restart" in what ? this.target : this.#agent(`agt_${isCut ? what.cut : what.kill}`);
    if (isCut) agent.isLinked = false;
    else if ("restart" in what) this.target.restart();
    else agent.kill();
    this.#later(what.seconds * 1000, async () => {
      if (this.#isCalm) return;
      if (!isCut) return agent.start();
      agent.isLinked = true;
      agent.connect();
    });
  }

  /**
   * A person starts the machine that keeps the right to run if its host has restarted, and its cutover has
   * failed or was over before that: otherwise the cutover itself has to start it.
   */
  async startByHand(): Promise<void> {
    const { state } = await this.cutover();
    const { restarts, restartsSeen } = this.target;
    const isOver = state === "failed" ? restarts > 0 : state === "completed" && restarts > restartsSeen;
    const isToRun = (await this.site.lease()).state === "permanent";
    if (isOver && isToRun && this.target.running.length === 0) await this.target.startByHand(this.id);
  }

  /** A person who gets no answer says it again. */
  async #say(word: string): Promise<void> {
    const died = this.#table.deaths;
    this.#otherClock();
    const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "02:30", timeZone: "UTC" }];
    const { body: shown } = await this.site.ask("GET /cutovers/{id}", this.id);
    const asked = {
      edit: { body: { windows } },
      approve: { as: { user: "bob" }, body: { version: shown.version } },
    }[word];
    const route = word === "edit" ? "PATCH /cutovers/{id}" : `POST /cutovers/{id}/${word}`;
    const answer = await this.site.ask(route, this.id, asked);
    if (answer.status < 500) return;
    if (!this.#table.isDead && died === this.#table.deaths) throw new Error(JSON.stringify(answer.body));
    this.#later(AGAIN_MS, () => this.#say(word));
  }

  async #tick(): Promise<void> {
    const dueAt = this.site.now;
    await this.#untilAlive(() => runPlan(this.site, dueAt));
  }

  #restart(): void {
    this.#later(0, async () => {
      await this.site.states.reopen(() => this.site.states.store);
      this.#table.revive();
    });
  }
}

function executionName(id: string, number: number): string {
  return number === 1 ? id : `${id}.${number}`;
}
