/** Cutovers with real agents, on hosts whose systemd and libvirt are doubles. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FenceState } from "#agent/fence/fence-keeper.ts";
import type { ApiClient } from "#shared/protocol/client.ts";
import type { Cutover, CutoverState } from "#shared/protocol/cutover.ts";
import { answered } from "../site/answered.ts";
import { MAIN } from "../site/daemon.ts";
import { CONNECT_LIMIT_MS, Installation } from "../site/installation.ts";
import { writeTestDisk } from "./disk-content.ts";
import { HostedAgent } from "./hosted-agent.ts";
import { completedRun } from "./plan-runs.ts";
import { SmallHost } from "./small-host.ts";
import { until } from "./until.ts";

const DISK_BYTES = 8 * 1024 * 1024;
const NETWORK = "default";
const LOOK_EVERY_MS = 250;
const END_LIMIT_SECONDS = 180;
export const SERVICE = "db.service";

/** A control plane, a source with one service and one disk, and a target host that has its standby. */
export class SmallSite implements AsyncDisposable {
  readonly dir: string;
  readonly installation: Installation;
  readonly source: HostedAgent;
  readonly target: HostedAgent;
  readonly sourceHost: SmallHost;
  readonly targetHost: SmallHost;
  sourceId = "";
  targetId = "";
  planId = "";
  readonly #parts: AsyncDisposableStack;

  private constructor(
    parts: AsyncDisposableStack,
    dir: string,
    hosts: { source: SmallHost; target: SmallHost },
  ) {
    this.#parts = parts;
    this.dir = dir;
    this.sourceHost = hosts.source;
    this.targetHost = hosts.target;
    this.installation = parts.adopt(new Installation(dir), (each) => each.stop());
    this.source = new HostedAgent("source", this.installation, hosts.source);
    this.target = new HostedAgent("target", this.installation, hosts.target);
  }

  static async start(): Promise<SmallSite> {
    await using parts = new AsyncDisposableStack();
    const dir = mkdtempSync(join(tmpdir(), "causeway-small-"));
    parts.defer(() => rmSync(dir, { recursive: true, force: true }));
    for (const name of ["source-host", "target-host"]) mkdirSync(join(dir, name));
    const source = parts.use(await SmallHost.start(join(dir, "source-host"), [SERVICE]));
    const target = parts.use(await SmallHost.start(join(dir, "target-host")));
    await target.libvirt.addNetwork(NETWORK);
    const site = new SmallSite(parts.move(), dir, { source, target });
    try {
      await site.#enrol();
    } catch (error) {
      await site[Symbol.asyncDispose]();
      throw error;
    }
    return site;
  }

  get api(): ApiClient {
    return this.installation.api;
  }

  /** Waits until an agent has started this number of times. By then its fence is up, if it is to be. */
  async started(name: "source" | "target", times: number): Promise<void> {
    const log = () => readFileSync(join(this.dir, `${name}.log`), "utf8");
    const hasStarted = () => log().split('"agent started"').length > times || undefined;
    await until(`${name} to start`, hasStarted, END_LIMIT_SECONDS, LOOK_EVERY_MS);
  }

  /** What the commands of the fence answer at the source's console, to a user of the name `ada`. */
  async fenceCli(...words: string[]): Promise<FenceState> {
    const command = [process.execPath, MAIN, "fence", ...words, "--data", join(this.dir, "source"), "--json"];
    return FenceState.parse(JSON.parse(await this.sourceHost.shell(`SUDO_USER=ada ${command.join(" ")}`)));
  }

  /** Creates a cutover that waits for a person's go, and says go. */
  async cutOver(): Promise<string> {
    const day = (offset: number) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);
    const window = { firstDay: day(-1), lastDay: day(1), from: "00:00", to: "00:00", timeZone: "UTC" };
    const cards = [{ link: { kind: "network" as const, network: NETWORK } }];
    const machine = { hypervisor: "libvirt" as const, bootDisk: "vda", cards };
    const { sourceId, targetId } = this;
    const { id } = await this.api.createCutover({ body: { sourceId, targetId, windows: [window], machine } });
    await this.reached(id, "waiting");
    await this.api.goCutover({ parameters: { id } });
    return id;
  }

  /** The cutover once it has been in this state. Rejects if it ended in another one before. */
  async reached(id: string, state: CutoverState): Promise<Cutover> {
    const look = async () => {
      const cutover = await answered(() => this.api.getCutover({ parameters: { id } }));
      if (cutover?.states.some(({ name }) => name === state)) return cutover;
      if (cutover?.endedAt) throw new Error(`${JSON.stringify(cutover)}\n${this.installation.lastWords()}`);
      return undefined;
    };
    return until(`${id} to be ${state}`, look, END_LIMIT_SECONDS, LOOK_EVERY_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }

  async #enrol(): Promise<void> {
    const { installation, dir } = this;
    await installation.up();
    const disk = join(dir, "vda.img");
    await writeTestDisk(disk, DISK_BYTES, "small");
    const options = ["--disk", `vda=${disk}`, "--fence-service", SERVICE];
    await installation.enrol("source", "source", options, this.sourceHost.enter);
    const images = ["--images", join(dir, "images")];
    await installation.enrol("target", "target", images, this.targetHost.enter);
    this.sourceId = (await installation.source(CONNECT_LIMIT_MS)).id;
    this.targetId = (await installation.target()).id;
    const body = { sourceId: this.sourceId, standbyTargetId: this.targetId, intervalSeconds: 30 * 86_400 };
    this.planId = (await this.api.createPlan({ body })).id;
    // A cutover that finds no standby looks again only after a minute.
    await completedRun(this.api, this.planId);
  }
}
