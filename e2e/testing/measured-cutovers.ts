/** Cutovers of loaded sources to machines of plain QEMU, one after the other. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Cutover, CutoverState } from "#shared/protocol/cutover.ts";
import type { Plan, Run } from "#shared/protocol/protection.ts";
import type { Recovery } from "#shared/protocol/recovery.ts";
import { PRODUCTION_ADDRESS } from "../machines/disk/database-server.ts";
import { ProductionNetwork } from "../machines/production-network.ts";
import { SystemdHost } from "../machines/systemd-host.ts";
import { answered } from "../site/answered.ts";
import { Installation } from "../site/installation.ts";
import { HostedAgent } from "./hosted-agent.ts";
import { type Load, LoadedSource } from "./loaded-source.ts";
import { OutageClient } from "./outage-client.ts";
import { completedRun } from "./plan-runs.ts";
import { TINY_SYSTEM_PORT, TINY_SYSTEM_READY, tinySystem } from "./tiny-system.ts";
import { until } from "./until.ts";

const ENDPOINT = `${PRODUCTION_ADDRESS}:${TINY_SYSTEM_PORT}`;
const MACHINE = [
  ...["--hypervisor", "qemu", "--software", "--cpus", "1", "--memory", "128", "--disk-bus", "virtio"],
  ...["--expect", TINY_SYSTEM_READY],
];
const BOOTS = ["--boot-disk", "system"];
/** The disk with the data has no boot loader. */
const BOOTS_NOT = ["--boot-disk", "data", "--answer-timeout", "60"];
/** Besides the baseline. */
const RUNS = 3;
const WAITING_LIMIT_SECONDS = 120;
const LOOK_EVERY_MS = 250;
const DAY_MS = 86_400_000;
/** Of a cutover that something was lost in: the lease passes twice, and steps are tried again. */
const END_LIMIT_SECONDS = 900;

export const VICTIMS = ["control plane", "source's agent", "target's agent"] as const;
type Victim = (typeof VICTIMS)[number];

export interface MeasuredCutover {
  /** Before the go. */
  forecast: NonNullable<Cutover["forecast"]>;
  cutover: Cutover;
  /** As a client measured it. */
  outageSeconds: number;
  /** Whether the machine has the last write that the source acknowledged. */
  isNothingLost: boolean;
  /** What `cutover forecast` printed before the go, and `cutover show --wait` until the end. */
  texts: { forecast: string; show: string };
}

/** How a cutover ended that was disturbed. */
export interface DisturbedCutover {
  cutover: Cutover;
  /** Who answered the client, in turns. */
  turns: readonly string[];
  /** Whether the one that serves in the end has the last write that anyone acknowledged. */
  isNothingLost: boolean;
  /** QEMU's processes on the target host in the end. */
  machines: number;
  /** Whether the source's service runs in the end. */
  isSourceServing: boolean;
}

export class MeasuredCutovers implements AsyncDisposable {
  readonly #parts: AsyncDisposableStack;
  readonly #installation: Installation;
  readonly #source: SystemdHost;
  readonly #target: SystemdHost;
  readonly #bridge: string;
  readonly #system: string;
  readonly #targetId: string;
  #count = 0;

  private constructor(
    parts: AsyncDisposableStack,
    given: {
      installation: Installation;
      source: SystemdHost;
      target: SystemdHost;
      bridge: string;
      system: string;
      targetId: string;
    },
  ) {
    this.#parts = parts;
    this.#installation = given.installation;
    this.#source = given.source;
    this.#target = given.target;
    this.#bridge = given.bridge;
    this.#system = given.system;
    this.#targetId = given.targetId;
  }

  /** Starts the embedded cloud, a host for the sources and a target host. */
  static async start(): Promise<MeasuredCutovers> {
    await using parts = new AsyncDisposableStack();
    const system = await tinySystem(PRODUCTION_ADDRESS);
    const { bridge } = parts.use(await ProductionNetwork.open());
    const dir = await mkdtemp("/var/lib/causeway-cutovers-");
    parts.defer(() => rm(dir, { recursive: true, force: true }));
    await mkdir(join(dir, "images"));
    const source = parts.use(await SystemdHost.start(dir));
    await source.shell("mount -t bpf bpf /sys/fs/bpf");
    const target = parts.use(await SystemdHost.start(dir));
    const installation = parts.adopt(new Installation(dir), (each) => each.stop());
    await installation.up();
    await installation.enrol("target", "target", ["--images", join(dir, "images")], target.enter);
    const targetId = (await installation.target()).id;
    return new MeasuredCutovers(parts.move(), { installation, source, target, bridge, system, targetId });
  }

  /**
   * Starts a source with this load, protects it, recovers it to a test network once, and cuts it over once:
   * from then on each part of an outage was measured, and the machine's start twice. It serves again.
   */
  async protect(load: Load): Promise<LoadedSource> {
    const installation = this.#installation;
    const where = { address: PRODUCTION_ADDRESS, link: this.#bridge };
    const given = { host: this.#source, system: this.#system, ...where, load };
    await using parts = new AsyncDisposableStack();
    const source = parts.use(await LoadedSource.start(`source-${this.#count++}`, { installation, ...given }));
    await this.#protect(source.id);
    await this.#rehearse(source.id);
    await this.cutOver(source);
    parts.move();
    return source;
  }

  /**
   * Cuts a source over that serves. Then its machine is lost, and the source serves again, as the operations
   * guide describes.
   */
  async cutOver(source: LoadedSource): Promise<MeasuredCutover> {
    const installation = this.#installation;
    await using client = new OutageClient(`http://${ENDPOINT}/`);
    await client.answerOf("source");
    const id = await this.#create(source.id, BOOTS);
    const { forecast } = await installation.api.getCutover({ parameters: { id } });
    const shown = await installation.cli(["cutover", "forecast", id]);
    await installation.api.goCutover({ parameters: { id } });
    let measured: MeasuredCutover;
    try {
      const followed = await installation.cli(["cutover", "show", id, "--wait"]);
      const cutover = await installation.api.getCutover({ parameters: { id } });
      if (cutover.state !== "completed" || !forecast) throw new Error(JSON.stringify(cutover));
      const { seconds, isNothingLost } = await client.outage("source", "machine");
      const texts = { forecast: shown.stdout, show: `${followed.stderr}${followed.stdout}` };
      measured = { forecast, cutover, outageSeconds: seconds, isNothingLost, texts };
    } finally {
      await this.#remove(id);
    }
    await source.serveAgain();
    return measured;
  }

  /**
   * Cuts a source over that serves. Once the cutover is in the state, it loses the victim, which comes back
   * after some seconds. In the end the source serves again.
   */
  lose(
    source: LoadedSource,
    { state, victim, seconds }: { state: CutoverState; victim: Victim; seconds: number },
  ): Promise<DisturbedCutover> {
    return this.#disturbed(source, BOOTS, async (id) => {
      await this.#untilState(id, (one) => one.states.some(({ name }) => name === state));
      await this.#lose(victim, source, seconds);
    });
  }

  /** Cuts a source over that serves, to a machine that does not boot. */
  cutOverToNothing(source: LoadedSource): Promise<DisturbedCutover> {
    return this.#disturbed(source, BOOTS_NOT, async () => {});
  }

  /** Has the source's plan run now, and returns that run. */
  async nextRun(source: LoadedSource): Promise<Run> {
    const { api } = this.#installation;
    const { items } = await api.listPlans({});
    const plan = items.find(({ sourceId }) => sourceId === source.id);
    if (!plan) throw new Error("the source has no plan");
    await api.runPlan({ parameters: { id: plan.id } });
    return completedRun(api, plan.id, ({ id }) => id !== plan.lastRun?.id);
  }

  async #disturbed(
    source: LoadedSource,
    options: readonly string[],
    disturb: (id: string) => Promise<void>,
  ): Promise<DisturbedCutover> {
    await using client = new OutageClient(`http://${ENDPOINT}/`);
    await client.answerOf("source");
    const id = await this.#create(source.id, options);
    let hasEndedOnTarget = true;
    try {
      await this.#installation.api.goCutover({ parameters: { id } });
      await disturb(id);
      const cutover = await this.#untilState(id, ({ endedAt }) => endedAt !== undefined);
      hasEndedOnTarget = cutover.state === "completed";
      const { count } = await client.nextAnswerOf(hasEndedOnTarget ? "machine" : "source");
      const isNothingLost = count >= client.acknowledged;
      return { cutover, turns: client.turns, isNothingLost, ...(await this.#running()) };
    } finally {
      await this.#remove(id);
      if (hasEndedOnTarget) await source.serveAgain();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }

  async #protect(sourceId: string): Promise<void> {
    const { api } = this.#installation;
    const words = ["protect", sourceId, "--every", "1h", "--standby", this.#targetId];
    const { id } = (await this.#installation.json(words)) as Plan;
    let last = (await completedRun(api, id)).id;
    for (let run = 0; run < RUNS; run++) {
      await api.runPlan({ parameters: { id } });
      last = (await completedRun(api, id, (one) => one.id !== last)).id;
    }
  }

  async #rehearse(sourceId: string): Promise<void> {
    const where = ["--target", this.#targetId, "--test-network"];
    const words = ["recover", sourceId, ...where, ...MACHINE, ...BOOTS, "--nic", "isolated", "--wait"];
    const { id } = (await this.#installation.json(words)) as Recovery;
    await this.#remove(id);
  }

  async #create(sourceId: string, options: readonly string[]): Promise<string> {
    const day = (offset: number) => new Date(Date.now() + offset * DAY_MS).toISOString().slice(0, 10);
    const { id } = (await this.#installation.json([
      ...["cutover", "create", sourceId, "--target", this.#targetId, ...MACHINE, ...options],
      ...["--window", `${day(-1)}..${day(1)},00:00-00:00`, "--nic", `bridge:${this.#bridge}`],
      ...["--answer", ENDPOINT],
    ])) as Cutover;
    const isWaiting = async () => {
      const { state } = await this.#installation.api.getCutover({ parameters: { id } });
      return state === "waiting" || undefined;
    };
    await until("the cutover to wait for a go", isWaiting, WAITING_LIMIT_SECONDS, LOOK_EVERY_MS);
    return id;
  }

  async #untilState(id: string, reached: (cutover: Cutover) => boolean): Promise<Cutover> {
    const look = async () => {
      const cutover = await answered(() => this.#installation.api.getCutover({ parameters: { id } }));
      return cutover && (reached(cutover) || cutover.endedAt !== undefined) ? cutover : undefined;
    };
    return until("the cutover to come so far", look, END_LIMIT_SECONDS, LOOK_EVERY_MS);
  }

  async #lose(victim: Victim, source: LoadedSource, seconds: number): Promise<void> {
    const lost = {
      "control plane": {
        kill: () => this.#installation.kill("cloud"),
        start: () => this.#installation.up(),
      },
      "source's agent": source.agent,
      "target's agent": new HostedAgent("target", this.#installation, this.#target),
    }[victim];
    await lost.kill();
    await wait(seconds * 1000);
    await lost.start();
  }

  async #running(): Promise<Pick<DisturbedCutover, "machines" | "isSourceServing">> {
    const machines = await this.#target.shell("pgrep -c qemu-system || true");
    const service = await this.#source.shell("systemctl is-active loaded.service || true");
    return { machines: Number(machines), isSourceServing: service.trim() === "active" };
  }

  async #remove(owner: string): Promise<void> {
    await this.#installation.cli(["machine", "stop", owner, "--at-once"]);
    await this.#installation.cli(["machine", "remove", owner, "--disks"]);
  }
}
