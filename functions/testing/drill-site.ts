import { onTestFinished } from "vitest";
import type { Command } from "#shared/protocol/commands.ts";
import type { RecoveryPoint } from "#shared/protocol/resources.ts";
import { agentAnswer } from "../../statemachines/testing/agent-answers.ts";
import { workflowArn } from "../../statemachines/testing/workflow-file.ts";
import * as drills from "../api/drills.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import type { ConnectDeps } from "../conversion/agent-connected.ts";
import { run as ingest } from "../ingest/agent-events.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import type { Random, Workflow } from "../ports.ts";
import * as abandonDrill from "../tasks/abandon-drill.ts";
import * as dispatchCommand from "../tasks/dispatch-command.ts";
import * as finishDrill from "../tasks/finish-drill.ts";
import * as recordProof from "../tasks/record-proof.ts";
import * as recordVerdict from "../tasks/record-verdict.ts";
import { MemoryTable } from "./memory-table.ts";
import { signedComparison, targetDevice } from "./signing-target.ts";
import { TaskEngine } from "./task-engine.ts";
import { request, type TestRequest, World } from "./world.ts";

const WORKFLOWS = ["drill", "make-clone", "prove-clone"];
const TASKS = {
  DispatchCommand: dispatchCommand,
  RecordProof: recordProof,
  RecordVerdict: recordVerdict,
  FinishDrill: finishDrill,
  AbandonDrill: abandonDrill,
};
const POINT: RecoveryPoint = {
  ...{ id: "rp_1", sourceId: "agt_source", createdAt: "2029-12-31T23:00:00.000Z" },
  disks: [{ name: "vda", sizeBytes: 64, badRanges: 0, consistency: "file-system", wholeCopies: [] }],
  frozen: { from: "2029-12-31T22:59:59.000Z", until: "2029-12-31T23:00:00.000Z" },
};

/** What an agent answers to a command, besides the ordinary; or it fails, or is away and does nothing. */
export type DrillAct = object | "away" | { fails: string };

/**
 * Drills of recovery points in virtual time: their workflows on the states engine, the real functions on a
 * table in memory, and agents that do what a test says. The points are `rp_1` and `rp_unfrozen`, which is of
 * no instant.
 */
export class DrillSite {
  /** By kind of command: what the agent does each time; the last for all further ones. */
  acts: Record<string, DrillAct[]> = {};
  /** As `agent kind`, each time that an agent gets one. */
  readonly commands: string[] = [];
  /** The last one that an agent got, by kind. */
  readonly inputs: Record<string, unknown> = {};
  readonly world: World;
  readonly #engine: TaskEngine;
  readonly #deps: ConnectDeps & { workflow: Workflow; random: Random };
  readonly #seen = new Set<unknown>();

  static async start(): Promise<DrillSite> {
    const site = new DrillSite();
    await site.world.enrolled({ target: { certificatePem: (await targetDevice()).certificatePem } });
    const { frozen: _, ...unfrozen } = POINT;
    await site.world.store.points.add(POINT);
    await site.world.store.points.add({ ...unfrozen, id: "rp_unfrozen" });
    return site;
  }

  private constructor() {
    this.#engine = new TaskEngine({
      ...{ workflows: WORKFLOWS, tasks: TASKS, deps: () => this.#deps, onEnd: onTestFinished },
    });
    this.world = new World(new MemoryTable(), { now: () => this.#now });
    const { sfn } = this.#engine;
    const workflow = new SfnWorkflow(sfn, workflowArn("drill"));
    this.#deps = { ...this.world, steps: new SfnWaitingSteps(sfn), workflow };
  }

  /** Asks for a drill that is to be proved, and lets everything happen that follows at once. */
  request(pointId = "rp_1") {
    const body = { targetId: "agt_target", proveSeconds: 30 };
    return this.api("POST /recovery-points/{id}/drills", pointId, { body });
  }

  /** The same; returns its id. */
  async drill(): Promise<string> {
    const { status, body } = await this.request();
    if (status !== 202) throw new Error(JSON.stringify(body));
    return String(body.id);
  }

  /** Calls the API, and lets everything happen that follows from that. */
  async api(routeKey: string, id: string, options: TestRequest = {}) {
    const { handler: _, ...operations } = drills;
    const handler = apiHandler(
      { name: "api/drills", build: () => this.#deps, operations },
      this.world.runtime,
    );
    const answer = await request(handler, routeKey, { id }, options);
    await this.#settle();
    return answer;
  }

  /** The drill as the API shows it. */
  async shown(id: string): Promise<Record<string, unknown>> {
    return (await this.api("GET /drills/{id}", id)).body;
  }

  async pass(minutes: number): Promise<void> {
    const end = this.#now + minutes * 60_000;
    await this.#settle();
    while (this.#now < end) {
      await this.#clock.advance(Math.min(end, this.#clock.nextDue) - this.#now);
      await this.#settle();
    }
  }

  /** The agent of this machine connects: it gets what is pending. */
  async connect(agentId: string): Promise<void> {
    await this.#tell(agentId, { type: "agent-connected", agentVersion: "1", bootId: "b" });
    await this.#settle();
  }

  get #clock() {
    return this.#engine.states.clock;
  }

  get #now(): number {
    return this.#clock.now();
  }

  async #settle(): Promise<void> {
    for (let acted = true; acted || this.#engine.isCalling; ) {
      await this.#clock.advance(0);
      const fresh = this.world.agents.sent.filter((one) => !this.#seen.has(one));
      acted = fresh.length > 0;
      for (const one of fresh) {
        this.#seen.add(one);
        if (one.message.type === "command") await this.#carryOut(one.agentId, one.message);
      }
    }
  }

  async #carryOut(agentId: string, { commandId, kind, input }: Command): Promise<void> {
    const key = `${agentId.replace("agt_", "")} ${kind}`;
    const times = this.commands.filter((one) => one === key).length;
    this.commands.push(key);
    this.inputs[kind] = input;
    const story = this.acts[kind] ?? [];
    const act = story[times] ?? story.at(-1) ?? {};
    if (act === "away") return;
    if (typeof act === "object" && "fails" in act) {
      const failure = {
        name: act.fails,
        message: `it was ${act.fails}`,
        hint: "See to it.",
        retryable: false,
      };
      return this.#tell(agentId, { type: "command-failed", commandId, failure });
    }
    const found = { ...agentAnswer({ kind, input: input as Record<string, unknown> }), ...(act as object) };
    const signed = kind === "compare-files" ? signedComparison(input, found) : {};
    const output = { ...signed, ...found };
    await this.#tell(agentId, { type: "command-succeeded", commandId, output });
  }

  #tell(agentId: string, event: object): Promise<void> {
    const at = new Date(this.#now).toISOString();
    return ingest({ agentId, event: { ...event, at, environment: "original" } }, this.#deps);
  }
}
