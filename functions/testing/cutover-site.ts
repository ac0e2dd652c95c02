/**
 * A source, a target host and the control plane in virtual time: the workflows on the states engine, the real
 * functions on a real table, and agents that do what a test says.
 */
import { SFNClient } from "@aws-sdk/client-sfn";
import { PolicyEvaluator } from "#local/iam/policy-evaluator.ts";
import { StatesService } from "#local/states/service.ts";
import { HandlerError, ROLE, World as StatesWorld } from "#local/states/testing/states-world.ts";
import { type Fence, fencedFor, unfencedAfter } from "#shared/domain/fence.ts";
import { renewedLease } from "#shared/domain/lease.ts";
import { newPlan } from "#shared/domain/protection/plan.ts";
import { aDisk, anInventory } from "#shared/domain/testing/records.ts";
import { CausewayError, failureOf } from "#shared/errors.ts";
import type { Command } from "#shared/protocol/commands.ts";
import { NewPlan } from "#shared/protocol/protection.ts";
import { agentAnswer } from "../../statemachines/testing/agent-answers.ts";
import { executionArn, WorkflowFile, workflowArn } from "../../statemachines/testing/workflow-file.ts";
import * as cutovers from "../api/cutovers.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import type { ConnectDeps } from "../conversion/agent-connected.ts";
import type { CutoverDeps } from "../cutover/deps.ts";
import { wakeCutover } from "../cutover/wake-cutover.ts";
import { run as ingest } from "../ingest/agent-events.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { TASKS } from "./cutover-tasks.ts";
import { embeddedIn } from "./embedded-client.ts";
import { FakePruneMarks } from "./fake-prune-marks.ts";
import { request, type TestRequest, World } from "./world.ts";

export const planId = "plan_01jd3v8q6m4x2k7zt5w9h0n1yb";

const WORKFLOWS = ["synchronized-cutover", "protection-run", "hot-capture"];

/** What an agent does with a command: it answers at once, fails with an error of this name, or is silent. */
export type Act = "done" | "silent" | { fails: string };

/** Advances virtual time by at most this between two looks. */
const CHUNK_MS = 15_000;

export class CutoverSite {
  /** By kind, or by kind and label: what the agent does with it each time; the last for all further ones. */
  acts: Record<string, Act[]> = {};
  /** How a timer's call fares: it is made once, lost, or made twice. */
  fate: () => number = () => 1;
  /** Called once before this function, by its placeholder's name. */
  before: Record<string, () => Promise<unknown>> = {};
  /** Of each disk of a recovery point, besides the ordinary. */
  taken: object = {};
  /** Bytes that each run finds changed, in order; the last for all further ones. */
  changes: number[] = [1024];
  readonly commands: string[] = [];
  readonly inputs: Record<string, Record<string, unknown>> = {};
  fence: Fence = { term: 0, isUp: false };
  /** Of the target host. */
  machine = { isOn: false, isConnected: false };
  readonly world: World;
  readonly states: StatesWorld;
  readonly deps: CutoverDeps & ConnectDeps & { marks: FakePruneMarks };
  readonly #seen = new Set<unknown>();
  readonly #times = new Map<string, number>();
  #running = 0;
  #taken = 0;

  static async start(plan: object = {}): Promise<CutoverSite> {
    const world = await World.start();
    const source = { inventory: anInventory({ hostname: "pine", disks: [aDisk("vda")] }), planId };
    await world.enrolled({ source });
    const site = new CutoverSite(world);
    const wanted = { sourceId: "agt_source", intervalSeconds: 3600, standbyTargetId: "agt_target", ...plan };
    const given = { id: planId, requestedBy: "ada", now: world.nowMs };
    await world.store.plans.add({ ...newPlan(NewPlan.parse(wanted), given), state: "active" });
    return site;
  }

  private constructor(world: World) {
    this.world = world;
    this.states = new StatesWorld(
      Object.fromEntries(
        Object.entries(TASKS).map(([name, task]) => [name, (payload) => this.#call(name, task, payload)]),
      ),
    );
    for (const name of WORKFLOWS) {
      const definition = new WorkflowFile(name).runnable();
      this.states.engine.putMachine({ name, definition, roleArn: ROLE });
    }
    const sfn = new SFNClient(embeddedIn(new StatesService(this.states.engine, new PolicyEvaluator())));
    this.deps = {
      ...world,
      clock: this.states.clock,
      steps: new SfnWaitingSteps(sfn),
      workflow: new SfnWorkflow(sfn, workflowArn("protection-run")),
      cutovers: new SfnWorkflow(sfn, workflowArn("synchronized-cutover")),
      marks: new FakePruneMarks(world.outage),
    };
  }

  /** Calls the API as this person. */
  async api(routeKey: string, id?: string, options: TestRequest = {}) {
    const { handler: _, ...operations } = cutovers;
    const handler = apiHandler(
      { name: "api/cutovers", build: () => this.deps, operations },
      { ...this.world.runtime, clock: this.states.clock },
    );
    const answer = await request(handler, routeKey, id === undefined ? {} : { id }, options);
    await this.settle();
    return answer;
  }

  /** Creates a cutover with these changes to an ordinary one, by ada. Returns its id. */
  async create(change: object = {}): Promise<string> {
    const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "02:00", timeZone: "UTC" }];
    const cards = [{ link: { kind: "bridge", bridge: "br0" } }];
    const body = {
      ...{ sourceId: "agt_source", targetId: "agt_target", windows, mode: "automatic" },
      ...{ machine: { hypervisor: "libvirt", cards }, ...change },
    };
    const created = await this.api("POST /cutovers", undefined, { body });
    if (created.status !== 202) throw new Error(JSON.stringify(created.body));
    return String(created.body.id);
  }

  cutover(id: string) {
    return this.world.store.cutovers.get(id);
  }

  lease() {
    return this.world.store.leases.get("agt_source");
  }

  get now(): number {
    return this.states.clock.now();
  }

  /** Until this time of 1 January 2030, or of the second day of January after 24 hours. */
  async passUntil(time: string): Promise<void> {
    const [hours = 0, minutes = 0] = time.split(":").map(Number);
    await this.pass(Date.UTC(2030, 0, 1, hours, minutes) - this.now);
  }

  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    await this.settle();
    while (this.now < end) {
      // A workflow that waits for a window does nothing before its timer fires.
      const next = this.#isIdle ? Math.max(this.now + CHUNK_MS, this.#nextTimer()) : this.now + CHUNK_MS;
      await this.states.clock.advance(Math.min(next, end) - this.now);
      await this.settle();
    }
  }

  /** Everything that can happen now happens. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 3; ) {
      this.world.nowMs = this.now;
      await this.states.clock.advance(0);
      const acted = (await this.#agents()) || (await this.#timers());
      idle = acted || this.#running > 0 ? 0 : idle + 1;
      if (this.#running > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** The agent of this machine connects: it gets what is pending. */
  async connect(agentId: string): Promise<void> {
    const at = new Date(this.now).toISOString();
    await this.#tell(agentId, { type: "agent-connected", at, agentVersion: "1", bootId: "b" });
    await this.settle();
  }

  get #isIdle(): boolean {
    const times = (name: string) => this.states.payloads(name).length;
    const isOver = this.states.store.runningArns().length === 0;
    return isOver || times("AwaitCutoverStart") > times("StartCutover");
  }

  #nextTimer(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.world.timer.cutovers.values());
  }

  async #call(name: string, { Input, run }: (typeof TASKS)[keyof typeof TASKS], payload: unknown) {
    this.#running++;
    try {
      const first = this.before[name];
      delete this.before[name];
      await first?.();
      this.world.nowMs = this.now;
      return await run(Input.parse(payload) as never, this.deps as never);
    } catch (error) {
      if (!(error instanceof CausewayError)) throw error;
      throw new HandlerError(error.name, JSON.stringify(failureOf(error)));
    } finally {
      this.#running--;
    }
  }

  async #timers(): Promise<boolean> {
    const due = [...this.world.timer.cutovers].filter(([, at]) => at <= this.now);
    for (const [id] of due) {
      this.world.timer.cutovers.delete(id);
      for (let times = this.fate(); times > 0; times--) await wakeCutover(id, this.deps);
    }
    return due.length > 0;
  }

  async #agents(): Promise<boolean> {
    const fresh = this.world.agents.sent.filter((one) => !this.#seen.has(one));
    for (const one of fresh) {
      this.#seen.add(one);
      if (one.message.type === "command") await this.#carryOut(one.agentId, one.message);
    }
    return fresh.length > 0;
  }

  async #carryOut(agentId: string, command: Command): Promise<void> {
    const { commandId, kind } = command;
    const input = command.input as Record<string, unknown>;
    const label = { "set-fence": input.isUp ? "up" : "down", "power-machine": String(input.power) }[
      kind as string
    ];
    const key = [kind, label ?? commandId.split(".")[2]?.replace(/^\d+$/, "")].filter(Boolean).join(" ");
    this.commands.push(key);
    this.inputs[key] = input;
    const times = (this.#times.get(key) ?? 0) + 1;
    this.#times.set(key, times);
    const story = this.acts[key] ?? this.acts[kind] ?? [];
    const act = story[times - 1] ?? story.at(-1) ?? "done";
    await this.#renew(input);
    if (act === "silent") return;
    const at = new Date(this.now).toISOString();
    if (act !== "done") {
      const failure = {
        name: act.fails,
        message: `it was ${act.fails}`,
        hint: "See to it.",
        retryable: false,
      };
      return this.#tell(agentId, { type: "command-failed", commandId, at, failure });
    }
    const output = this.#did(command);
    await this.#tell(agentId, { type: "command-succeeded", commandId, at, output });
  }

  #did(command: Command): object {
    const { kind } = command;
    const input = command.input as Record<string, unknown>;
    const answer = agentAnswer({ kind, input });
    switch (kind) {
      case "set-fence":
        this.fence = (input.isUp ? fencedFor : unfencedAfter)(this.fence, Number(input.term));
        this.#requireOne();
        return { ...this.fence, services: this.fence.isUp ? ["db.service"] : [] };
      case "take-recovery-point":
        return { ...answer, disks: [this.#takenDisk()] };
      case "adapt-machine":
        return {
          ...{ changes: [{ path: "/etc/fstab", why: ["a name"], diff: "" }], commands: [], notes: [] },
          ...{ stale: [], isApplied: !input.dryRun, computeSeconds: 1, applySeconds: 1 },
        };
      case "apply-to-standby":
      case "clone-standby":
      case "release":
        return answer;
      case "define-machine":
        if (input.isolated !== true) throw new Error("a client would reach a machine that is not checked");
        return answer;
      case "connect-machine":
        this.machine.isConnected = true;
        this.#requireOne();
        return answer;
      case "bring-up-machine":
        this.machine.isOn = true;
        this.#requireOne();
        return answer;
      case "power-machine":
        this.machine.isOn = input.power === "on";
        return answer;
      case "remove-machine":
        this.machine = { isOn: false, isConnected: false };
        return answer;
      default:
        throw new Error(`no agent here does ${kind}`);
    }
  }

  /** The target host asks for time before it starts a machine that has a lease. */
  async #renew({ ownerId, lease }: Record<string, unknown>): Promise<void> {
    const { term } = (lease ?? {}) as { term?: number };
    if (term === undefined) return;
    const holder = { ownerId: String(ownerId), targetId: "agt_target", term };
    const now = new Date(this.now).toISOString();
    await this.world.store.leases.modify("agt_source", (one) => renewedLease(one, holder, now));
  }

  /** One runs, never two. */
  #requireOne(): void {
    if (this.machine.isOn && this.machine.isConnected && !this.fence.isUp)
      throw new Error("the source and the machine both serve");
  }

  #takenDisk(): object {
    const changedBytes = this.changes[this.#taken++] ?? this.changes.at(-1) ?? 0;
    return {
      ...{ name: "vda", sizeBytes: 64, bytesRead: 64, bytesStored: 32, changedBytes, badRanges: 0 },
      ...{ consistency: "crash", wholeCopies: [], seconds: 2, bottleneck: "read", mode: "hash-scan" },
      ...{ modeReason: "no tracker", view: "still", viewReason: "unused", trackerDisagreements: 0 },
      ...this.taken,
    };
  }

  async #tell(agentId: string, event: object): Promise<void> {
    await ingest({ agentId, event }, this.deps);
  }

  /** The cutover's workflow, as its own result says. */
  workflowOf(name: string): ReturnType<StatesWorld["result"]> {
    return this.states.result(executionArn("synchronized-cutover", name));
  }
}
