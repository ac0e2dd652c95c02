/**
 * For tests: a machine with a mounted disk in use, whose agent, freeze helper and control plane are killed at
 * random moments. Each frozen read leaves a copy of the disk, made before the thaw.
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { hash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Random } from "#agent/filesystems/testing/layouts/random.ts";
import { checkRepository } from "#agent/repository/check.ts";
import { listPoints, readPoint } from "#agent/repository/points.ts";
import { restoreDisk } from "#agent/restore/restore.ts";
import { DiskInUse, differingPages } from "#agent/tracking/testing/disk-in-use.ts";
import { FAULTY_PROGRAM } from "#agent/tracking/testing/tracked-disk.ts";
import type { PointDisk } from "#shared/format/point.ts";
import type { TakenPoint } from "#shared/protocol/taken-point.ts";
import { RepositoryWorld } from "../repository-world.ts";
import type { Answer, Order } from "./agent-process.ts";
import type { CollectorWork } from "./collector-process.ts";

/** A point is taken in less than this, mostly. */
const LONGEST_MS = 1200;
const MOST_ATTEMPTS = 20;
const KEPT_POINTS = 3;
const VICTIMS = ["agent", "agent", "helper", "helper", "control-plane"] as const;

export class KilledMachine implements AsyncDisposable {
  readonly #disk: DiskInUse;
  readonly #world: RepositoryWorld;
  #agent: ChildProcess | undefined;
  /** The last attempt at each point that was acknowledged or is visible. */
  readonly #attempts = new Map<string, string>();
  /** Of what each point restored to when it was taken, in order. */
  readonly #digests = new Map<string, string>();
  #points = 0;
  /** A collection, perhaps a killed one, ran since the last check. */
  #mustBeChecked = false;
  #collections = 0;
  /** Points whose copy was compared as one of a file system. */
  compared = 0;
  /** How often a process was killed while it worked. */
  kills = 0;

  private constructor(disk: DiskInUse, world: RepositoryWorld) {
    this.#disk = disk;
    this.#world = world;
  }

  static async start(random: Random): Promise<KilledMachine> {
    const disk = await DiskInUse.start(random);
    const machine = new KilledMachine(disk, await RepositoryWorld.start());
    const copy = disk.copyTo(`${disk.folder}/frozen-$ATTEMPT`);
    await writeFile(
      machine.#program,
      `#!/bin/sh\nif [ "$1" = freeze-read ]; then exec '${FAULTY_PROGRAM}' "$@" --witness '${copy}'; fi\nexec '${FAULTY_PROGRAM}' "$@"\n`,
      { mode: 0o755 },
    );
    return machine;
  }

  /**
   * Takes one recovery point while something is killed, and repeats the command until the point is taken.
   * Returns what is wrong then; an empty text if nothing is.
   */
  async killAndFinish(random: Random): Promise<string> {
    const pointId = `rp_${String(++this.#points).padStart(6, "0")}`;
    this.#world.heldSince = this.#world.clock.now();
    const taken = await this.#takeDespiteKills(pointId, random);
    this.#world.heldSince = undefined;
    const faults = [await this.#disk.faultsOfFreezes(), await this.#faultsOf(pointId, taken)];
    if (random.oneIn(4)) await this.#collect();
    if (this.#mustBeChecked) faults.push(await this.faultsOfRepository());
    for (const name of await readdir(this.#disk.folder))
      if (name.startsWith("frozen-")) await rm(join(this.#disk.folder, name), { force: true });
    this.#world.days(random.below(3));
    return faults.filter((fault) => fault !== "").join("; ");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#killAgent();
    await this.#world[Symbol.asyncDispose]();
    await this.#disk[Symbol.asyncDispose]();
  }

  get #program(): string {
    return join(this.#disk.folder, "tracker");
  }

  async #takeDespiteKills(pointId: string, random: Random): Promise<TakenPoint> {
    const failures: string[] = [];
    for (let number = 1; number <= MOST_ATTEMPTS; number++) {
      const attempt = `${pointId}.${number}`;
      const answer = this.#take(await this.#startedAgent(), pointId, attempt);
      // The first attempts only: what is killed again and again never ends.
      if (number <= 2) await this.#killSomething(random, answer);
      const result = await answer;
      if (existsSync(join(this.#disk.folder, `frozen-${attempt}`))) this.#attempts.set(pointId, attempt);
      if (result && "taken" in result) return result.taken;
      failures.push(result ? result.failed : "the agent was killed");
    }
    throw new Error(`${pointId} was not taken: ${failures.join("; ")}`);
  }

  /** The agent's answer; `undefined` if it ends before. */
  async #take(agent: ChildProcess, pointId: string, attempt: string): Promise<Answer | undefined> {
    const order: Order = { pointId, attempt, access: this.#world.access() };
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const onExit = () => resolve(undefined);
    agent.once("message", resolve).once("exit", onExit);
    agent.send(order);
    return promise.finally(() => agent.off("message", resolve).off("exit", onExit));
  }

  async #startedAgent(): Promise<ChildProcess> {
    if (this.#agent && this.#agent.exitCode === null && this.#agent.signalCode === null) return this.#agent;
    const { device, pinFolder } = this.#disk;
    const dataDir = join(this.#disk.folder, "agent");
    const agent = fork(script("agent-process.ts"), [device, this.#program, pinFolder, dataDir]);
    this.#agent = agent;
    await once(agent, "message");
    return agent;
  }

  async #killSomething(random: Random, answer: Promise<unknown>): Promise<void> {
    let isAnswered = false;
    const whenAnswered = answer.then(() => {
      isAnswered = true;
    });
    const pause = random.below(LONGEST_MS);
    const victim = random.pick(VICTIMS);
    if (victim === "control-plane") {
      await this.#collect(random.below(LONGEST_MS));
      return;
    }
    if (victim === "agent") {
      await Promise.race([wait(pause), whenAnswered]);
      if (isAnswered) return;
      this.kills += 1;
      this.#agent?.kill("SIGKILL");
      return;
    }
    if (await this.#disk.killHelper(random, () => isAnswered)) this.kills += 1;
  }

  /** Marks and collects; killed after a time if one is given. */
  async #collect(killAfterMs?: number): Promise<void> {
    this.#mustBeChecked = true;
    const work: CollectorWork = {
      access: this.#world.access(),
      collectionId: `col_kills_${++this.#collections}`,
      keep: KEPT_POINTS,
      heldSince: this.#world.heldSince,
    };
    const child = spawn(process.execPath, [script("collector-process.ts"), JSON.stringify(work)], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const timer =
      killAfterMs === undefined
        ? undefined
        : setTimeout(() => {
            this.kills += 1;
            child.kill("SIGKILL");
          }, killAfterMs);
    const [code, signal] = await once(child, "exit");
    clearTimeout(timer);
    if (code !== 0 && signal !== "SIGKILL") throw new Error(`the collection ended with ${code ?? signal}`);
  }

  /** The point must restore to the copy of the disk that was made before the thaw. */
  async #faultsOf(pointId: string, taken: TakenPoint): Promise<string> {
    if (taken.pointId !== pointId) return `${pointId} was answered with ${taken.pointId}`;
    const { disk, bytes } = await this.#restored(pointId);
    this.#digests.set(pointId, hash("sha256", bytes));
    if (disk.consistency !== "file-system") return "";
    this.compared += 1;
    const frozen = await readFile(join(this.#disk.folder, `frozen-${this.#attempts.get(pointId)}`));
    const pages = differingPages(bytes, frozen);
    return pages.length === 0 ? "" : `${pointId} is not the disk of its instant: pages ${pages.join(" ")}`;
  }

  /**
   * The newest points must be visible, everything that a point names must be there, and the oldest must be as
   * it was. Returns what is not so.
   */
  async faultsOfRepository(): Promise<string> {
    const { repository } = this.#world;
    this.#mustBeChecked = false;
    const visible = (await listPoints(repository)).sort();
    const newest = [...this.#digests.keys()].slice(-KEPT_POINTS);
    const lost = newest.filter((pointId) => !visible.includes(pointId));
    const { findings } = await checkRepository({ repository });
    const [oldest = ""] = visible;
    const isSame = hash("sha256", (await this.#restored(oldest)).bytes) === this.#digests.get(oldest);
    return [
      ...lost.map((pointId) => `${pointId} is lost`),
      ...findings.map((finding) => JSON.stringify(finding)),
      ...(isSame ? [] : [`${oldest} has changed`]),
    ].join("; ");
  }

  async #restored(pointId: string): Promise<{ disk: PointDisk; bytes: Buffer }> {
    const { repository } = this.#world;
    const [disk] = (await readPoint(repository, pointId)).disks;
    if (!disk) throw new Error(`${pointId} has no disk`);
    const bytes = Buffer.alloc(disk.sizeBytes);
    await restoreDisk({ repository, disk, sink: { write: async (at, part) => void bytes.set(part, at) } });
    return { disk, bytes };
  }

  async #killAgent(): Promise<void> {
    const agent = this.#agent;
    if (!agent || agent.exitCode !== null || agent.signalCode !== null) return;
    const exited = once(agent, "exit");
    agent.kill("SIGKILL");
    await exited;
  }
}

const script = (name: string): string => join(import.meta.dirname, name);
