/**
 * A source, a target host and the control plane in virtual time: the workflows on the states engine, the real
 * functions on a table in memory, and agents that do what a test says.
 */
import { onTestFinished } from "vitest";
import type { World as StatesWorld } from "#local/states/testing/states-world.ts";
import type { Fence } from "#shared/domain/fence.ts";
import { renewedLease } from "#shared/domain/lease.ts";
import type { Command, ToAgent } from "#shared/protocol/commands.ts";
import type { AgentSystem } from "#shared/protocol/machine.ts";
import { agentAnswer } from "../../statemachines/testing/agent-answers.ts";
import { executionArn, workflowArn } from "../../statemachines/testing/workflow-file.ts";
import * as cutovers from "../api/cutovers.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import type { ConnectDeps } from "../conversion/agent-connected.ts";
import type { CutoverDeps } from "../cutover/deps.ts";
import { wakeCutover } from "../cutover/wake-cutover.ts";
import { run as ingest } from "../ingest/agent-events.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { TASKS } from "./cutover-tasks.ts";
import { FakePruneMarks } from "./fake-prune-marks.ts";
import { MemoryTable } from "./memory-table.ts";
import { signedComparison } from "./signing-target.ts";
import { commandKey, diskOfPoint } from "./site-commands.ts";
import { addSiteRecords, planId } from "./site-records.ts";
import { attested, SiteSource } from "./site-source.ts";
import { TaskEngine } from "./task-engine.ts";
import { request, type TestRequest, World } from "./world.ts";

const WORKFLOWS = ["synchronized-cutover", "protection-run", "hot-capture", "prove-clone"];

/** What an agent does with a command: it answers at once, fails with an error of this name, or is silent. */
export type Act = "done" | "silent" | { fails: string };

interface SiteParts {
  /** Of an earlier site, if it has a plan. */
  table: MemoryTable;
  /** Whether the source can be restarted into a boot environment, and was before. */
  isRestartable: boolean;
  /** Gets what ends the site; by default that happens when the test ends. */
  onEnd: (end: () => Promise<void>) => void;
}

export class CutoverSite {
  /** By kind, or by kind and label: what the agent does with it each time; the last for all further ones. */
  acts: Record<string, Act[]> = {};
  /** How often a cutover's timer calls, which is due: it is made once, lost, or made twice. */
  fate: (id: string) => number = () => 1;
  /** Told of each call of a task, by its function's placeholder's name. */
  onCall: (name: string, payload: unknown) => void = () => {};
  /** What an agent does with a message; by default it obeys commands as `acts` says. */
  obey = async (agentId: string, message: ToAgent): Promise<void> => {
    if (message.type === "command") await this.#carryOut(agentId, message);
  };
  /** Called once before this function, by its placeholder's name. */
  before: Record<string, () => Promise<unknown>> = {};
  /** Of each disk of a recovery point, besides the ordinary. */
  taken: object = {};
  /** Of each recovery point, besides the ordinary. */
  freeze: object = {};
  /** What the target host says of an adaptation, besides the ordinary. */
  adapted: object = {};
  /** What the source comes to when it hashes files, besides the ordinary. */
  hashed: object = {};
  /** What the target host finds when it compares files, besides the ordinary. */
  compared: object = {};
  /** Whether its agent is new enough to sign that. */
  signs = true;
  /** What the target host says of the isolated machine that it asked, besides the ordinary. */
  asked: object = {};
  /** Bytes that each run finds changed, in order; the last for all further ones. */
  changes: number[] = [1024];
  readonly commands: string[] = [];
  readonly inputs: Record<string, Record<string, unknown>> = {};
  /** What the source's agent says of a fence that it puts up, besides. */
  lasts = ({ lasting }: Record<string, unknown>): object => ({ lasting });
  /** By how much the clock of the functions is ahead. */
  skewMs = 0;
  /** Of the target host. */
  machine = { isOn: false, isConnected: false };
  readonly source = new SiteSource();
  /** Where a restart of the source leads that was to lead there; `none` if it hangs. */
  restartsInto: (wanted: AgentSystem) => AgentSystem | "none" = (wanted) => wanted;
  readonly world: World;
  readonly states: StatesWorld;
  readonly deps: CutoverDeps & ConnectDeps & { marks: FakePruneMarks };
  readonly #seen = new Set<unknown>();
  readonly #times = new Map<string, number>();
  readonly #failures: unknown[] = [];
  readonly #engine: TaskEngine;
  #taken = 0;

  static async start(plan: object = {}, parts: Partial<SiteParts> = {}): Promise<CutoverSite> {
    const whole = { table: new MemoryTable(), isRestartable: false, onEnd: onTestFinished, ...parts };
    const site = new CutoverSite(whole);
    if (await site.world.store.plans.find(planId)) return site;
    await addSiteRecords(site.world, { plan, isRestartable: whole.isRestartable });
    return site;
  }

  private constructor({ table, onEnd }: Pick<SiteParts, "table" | "onEnd">) {
    this.#engine = new TaskEngine({
      ...{ workflows: WORKFLOWS, tasks: TASKS, deps: () => this.deps, onEnd },
      onCall: (name, payload) => this.#called(name, payload),
    });
    this.states = this.#engine.states;
    this.world = new World(table, { now: () => this.now + this.skewMs });
    const { sfn } = this.#engine;
    this.deps = {
      ...this.world,
      steps: new SfnWaitingSteps(sfn),
      workflow: new SfnWorkflow(sfn, workflowArn("protection-run")),
      cutovers: new SfnWorkflow(sfn, workflowArn("synchronized-cutover")),
      marks: new FakePruneMarks(this.world.outage),
    };
  }

  /** Calls the API as this person, and lets everything happen that follows from that. */
  async api(routeKey: string, id?: string, options: TestRequest = {}) {
    const answer = await this.ask(routeKey, id, options);
    await this.settle();
    return answer;
  }

  /** Calls the API as this person. */
  ask(routeKey: string, id?: string, options: TestRequest = {}) {
    const { handler: _, ...operations } = cutovers;
    const handler = apiHandler(
      { name: "api/cutovers", build: () => this.deps, operations },
      this.world.runtime,
    );
    return request(handler, routeKey, id === undefined ? {} : { id }, options);
  }

  /** Creates a cutover with these changes to an ordinary one, by ada. Returns its id. */
  async create(change: object = {}): Promise<string> {
    const id = await this.request(change);
    await this.settle();
    return id;
  }

  /** The same, before anything happens that follows from that. */
  async request(change: object = {}): Promise<string> {
    const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "02:00", timeZone: "UTC" }];
    const cards = [{ link: { kind: "bridge", bridge: "br0" } }];
    const body = {
      ...{ sourceId: "agt_source", targetId: "agt_target", windows, mode: "automatic" },
      ...{ machine: { hypervisor: "libvirt", cards }, ...change },
    };
    const created = await this.ask("POST /cutovers", undefined, { body });
    if (created.status !== 202) throw new Error(JSON.stringify(created.body));
    return String(created.body.id);
  }

  cutover(id: string) {
    return this.world.store.cutovers.get(id);
  }

  lease() {
    return this.world.store.leases.get("agt_source");
  }

  /** Something happens beside the test's own steps. If it fails, the next of those steps does. */
  beside(task: () => Promise<unknown>): void {
    task().catch((error: unknown) => this.#failures.push(error));
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
      const next = Math.min(end, this.states.clock.nextDue, ...this.world.timer.cutovers.values());
      await this.states.clock.advance(next - this.now);
      await this.settle();
    }
  }

  /** Everything that can happen now happens. */
  async settle(): Promise<void> {
    for (let acted = true; acted || this.#engine.isCalling; ) {
      await this.states.clock.advance(0);
      acted = (await this.#agents()) || (await this.#timers());
      if (this.#failures.length > 0) throw this.#failures[0];
    }
  }

  /** The agent of this machine connects: it gets what is pending. */
  async connect(agentId: string): Promise<void> {
    await this.#introduce(agentId);
    await this.settle();
  }

  /** The source starts this system, whatever it ran before, and its agent connects. */
  async start(system: AgentSystem): Promise<void> {
    await this.#restart(system);
    await this.settle();
  }

  get fence(): Fence {
    return this.source.fence;
  }

  async #introduce(agentId: string): Promise<void> {
    const at = new Date(this.now).toISOString();
    const bootId = agentId === "agt_source" ? this.source.bootId : "b";
    await this.#tell(agentId, { type: "agent-connected", at, agentVersion: "1", bootId });
  }

  async #restart(system: AgentSystem | "none"): Promise<void> {
    this.source.start(system);
    this.#requireOne();
    if (system !== "none") await this.#introduce("agt_source");
  }

  async #called(name: string, payload: unknown): Promise<void> {
    const first = this.before[name];
    delete this.before[name];
    await first?.();
    this.onCall(name, payload);
  }

  async #timers(): Promise<boolean> {
    const due = [...this.world.timer.cutovers].filter(([, at]) => at <= this.now);
    for (const [id] of due) {
      this.world.timer.cutovers.delete(id);
      for (let times = this.fate(id); times > 0; times--) await wakeCutover(id, this.deps);
    }
    return due.length > 0;
  }

  async #agents(): Promise<boolean> {
    const fresh = this.world.agents.sent.filter((one) => !this.#seen.has(one));
    for (const one of fresh) {
      this.#seen.add(one);
      await this.obey(one.agentId, one.message);
    }
    return fresh.length > 0;
  }

  async #carryOut(agentId: string, command: Command): Promise<void> {
    const { commandId, kind, environment = "original" } = command;
    if (agentId === "agt_source" && environment !== this.source.system) return;
    const input = command.input as Record<string, unknown>;
    const key = commandKey(command);
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
    if (kind === "reboot") await this.#restart(this.restartsInto(input.into as AgentSystem));
    if (kind === "switch-off") this.source.switchOff();
  }

  #did(command: Command): object {
    const { kind } = command;
    const input = command.input as Record<string, unknown>;
    const answer = agentAnswer({ kind, input });
    switch (kind) {
      case "arm-boot":
        return { ...answer, ...this.source.arm() };
      case "attest-boot-state":
        return attested(input);
      case "set-fence": {
        const set = this.source.setFence(input, this.lasts(input));
        this.#requireOne();
        return set;
      }
      case "take-recovery-point":
        return { ...answer, disks: [this.#takenDisk()], ...this.#frozen() };
      case "adapt-machine":
        return { ...answer, ...this.adapted };
      case "hash-files":
        return { ...answer, ...this.hashed };
      case "compare-files":
        return this.#compared(input, { ...answer, ...this.compared });
      case "switch-off":
      case "apply-to-standby":
      case "clone-standby":
      case "release":
      case "stage-boot-image":
      case "report-boot-state":
      case "reboot":
        return answer;
      case "define-machine":
        if (input.isolated !== true) throw new Error("a client would reach a machine that is not checked");
        return answer;
      case "connect-machine":
        this.machine.isConnected = true;
        this.#requireOne();
        return { ...answer, power: this.machine.isOn ? "on" : "off" };
      case "bring-up-machine":
        if (input.leavesOut && this.machine.isConnected)
          throw new Error("a machine is asked before the commit that a client reaches");
        this.machine.isOn = true;
        this.#requireOne();
        return { ...answer, ...(input.leavesOut ? this.asked : {}) };
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

  /** In the boot environment nothing is mounted, so nothing is frozen. */
  #frozen(): object {
    return this.source.system === "original" ? this.freeze : {};
  }

  #compared(input: object, found: object): object {
    return { ...found, ...(this.signs ? signedComparison(input, found) : {}) };
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
    if (this.machine.isOn && this.machine.isConnected && this.source.serves)
      throw new Error("the source and the machine both serve");
  }

  #takenDisk(): object {
    const changedBytes = this.changes[this.#taken++] ?? this.changes.at(-1) ?? 0;
    return { ...diskOfPoint(changedBytes), ...this.taken };
  }

  async #tell(agentId: string, event: object): Promise<void> {
    const { system } = this.source;
    const environment = agentId === "agt_source" && system === "boot-environment" ? system : "original";
    await ingest({ agentId, event: { ...event, environment } }, this.deps);
  }

  /** The cutover's workflow, as its own result says. */
  workflowOf(name: string): ReturnType<StatesWorld["result"]> {
    return this.states.result(executionArn("synchronized-cutover", name));
  }
}
