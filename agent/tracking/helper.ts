import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { BlockSet } from "#shared/domain/block-set.ts";
import { TrackerFailedError, TrackingUnavailableError } from "#shared/errors.ts";
import type { DiskStatus } from "./disk-status.ts";
import { type HelperOutput, parseHelperOutput } from "./helper-output.ts";
import type { DiskToTrack, FrozenRead, FrozenReadRequest, Pass, Tracker } from "./tracker.ts";

const PROGRAM = "causeway-tracker";

/** Codes of errors after which this machine cannot track at all. */
const UNAVAILABLE = new Set(["not-supported", "no-bpf", "permission", "too-many"]);

/**
 * The helper's path: beside the agent's own script, or where the set-up of this repository puts it.
 * `undefined` if it is in neither place.
 */
export function findTrackerProgram(): string | undefined {
  const places = [
    join(dirname(process.argv[1] ?? "."), PROGRAM),
    join(import.meta.dirname, "../../.cache/tracker", PROGRAM),
  ];
  return places.find((path) => existsSync(path));
}

/**
 * Where the tracker of the agent with this folder has its state, in the BPF file system. A recovery point of
 * one agent forgets the marks that it has read, so another agent on the same machine needs marks of its own.
 */
export function pinFolderOf(dataDir: string): string {
  const name = createHash("sha256").update(resolve(dataDir)).digest("hex").slice(0, 16);
  return `/sys/fs/bpf/causeway/tracker_${name}`;
}

/** The tracker in the kernel, through the program `causeway-tracker`; each call runs it once. */
export class TrackerHelper implements Tracker {
  readonly #program: string;
  readonly #pins: readonly string[];

  /** `pinFolder`: its state in the BPF file system. Each folder is a tracker of its own. */
  constructor(program: string, { pinFolder }: { pinFolder: string }) {
    this.#program = program;
    this.#pins = ["--pins", pinFolder];
  }

  async attach(disks: readonly DiskToTrack[]): Promise<DiskStatus[]> {
    const each = disks.flatMap(({ path, events, identity }) => [
      ...["--disk", path],
      ...["--events", events],
      ...["--identity", identity],
    ]);
    return (await this.#run("attach", ...each)).disks;
  }

  async status(): Promise<DiskStatus[]> {
    return (await this.#run("status")).disks;
  }

  begin(disk: string): Promise<Pass> {
    return this.#pass("begin", disk);
  }

  swap(disk: string): Promise<Pass> {
    return this.#pass("swap", disk);
  }

  async clear(disk: string): Promise<DiskStatus> {
    return onlyStatus(await this.#run("clear", "--disk", disk));
  }

  async commit(disk: string, sequence: number): Promise<DiskStatus> {
    return onlyStatus(await this.#run("commit", "--disk", disk, "--sequence", String(sequence)));
  }

  async detach(...disks: string[]): Promise<void> {
    await this.#run("detach", ...disks.flatMap((disk) => ["--disk", disk]));
  }

  async sync(mounts: readonly string[]): Promise<void> {
    await this.#run("sync", ...mounts.flatMap((mount) => ["--mount", mount]));
  }

  async freezeRead(request: FrozenReadRequest): Promise<FrozenRead> {
    const { disks } = request;
    const output = await this.#run(
      "freeze-read",
      ...disks.flatMap((disk) => ["--disk", disk]),
      ...request.mounts.flatMap((mount) => ["--mount", mount]),
      ...request.ignored.flatMap(({ disk, offset, length }) => [
        ...["--ignore", `${disks.indexOf(disk)}:${offset}:${length}`],
      ]),
      ...["--limit-ms", String(request.limitMs)],
      ...["--limit-bytes", String(request.limitBytes)],
    );
    if (!output.freeze || output.disks.length !== disks.length) throw cutOff("freeze-read");
    const { type: _, ...freeze } = output.freeze;
    return {
      ...freeze,
      statuses: new Map(disks.map((disk, index) => [disk, output.disks[index] as DiskStatus])),
      frames: output.frames.map(({ disk, offset, bytes }) => ({ disk: disks[disk] ?? "", offset, bytes })),
    };
  }

  /**
   * Thaws what a frozen read left that was killed together with its watchdog; `error` is empty where that
   * succeeded. Usually there is nothing.
   */
  async thaw(): Promise<HelperOutput["thawed"]> {
    return (await this.#run("thaw")).thawed;
  }

  async #pass(command: "begin" | "swap", disk: string): Promise<Pass> {
    const output = await this.#run(command, "--disk", disk);
    const status = onlyStatus(output);
    const changed = new BlockSet(status.attachedBytes, status.granuleBytes);
    for (const [first, count] of output.runs) {
      const offset = first * status.granuleBytes;
      changed.add(offset, Math.min(count * status.granuleBytes, status.attachedBytes - offset));
    }
    return { status, changed };
  }

  async #run(command: string, ...options: string[]): Promise<HelperOutput> {
    const bytes = await outputOf(this.#program, [command, ...this.#pins, ...options]);
    const output = parseHelperOutput(bytes);
    if (output.error) {
      const { code, message } = output.error;
      throw UNAVAILABLE.has(code)
        ? new TrackingUnavailableError(code, message)
        : new TrackerFailedError(code, message);
    }
    if (!output.isWhole) throw cutOff(command);
    return output;
  }
}

function cutOff(command: string): TrackerFailedError {
  return new TrackerFailedError("cut-off", `the output of ${PROGRAM} ${command} is not whole`);
}

function onlyStatus({ disks }: HelperOutput): DiskStatus {
  const [status] = disks;
  if (!status || disks.length > 1) throw cutOff("");
  return status;
}

/** What the program wrote. How it ended does not matter: what it wrote says whether it is whole. */
async function outputOf(program: string, args: readonly string[]): Promise<Buffer> {
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "ignore"],
    // A helper that waits for the lock must not change marks after its agent was killed.
    env: { ...process.env, CAUSEWAY_TRACKER_PARENT: String(process.pid) },
  });
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.on("error", (error) => reject(new TrackingUnavailableError("no-program", error.message)));
  child.on("close", () => resolve(Buffer.concat(chunks)));
  return promise;
}
