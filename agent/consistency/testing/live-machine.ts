/** For tests: a mounted disk in use, and an agent that takes recovery points of it into memory. */
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { TakenPoint } from "#shared/protocol/taken-point.ts";
import type { CaptureDeps } from "../../commands/captures.ts";
import { takeRecoveryPointExecutor } from "../../commands/take-recovery-point.ts";
import { executionContext } from "../../commands/testing/execution-context.ts";
import { Random } from "../../filesystems/testing/layouts/random.ts";
import { tool } from "../../filesystems/testing/test-image.ts";
import type { HookDeps } from "../../hooks/hook-run.ts";
import { PendingHooks } from "../../hooks/pending-hooks.ts";
import { listPoints, readPoint } from "../../repository/points.ts";
import { restoredDisk } from "../../restore/testing/restored-disk.ts";
import { KeptMaps } from "../../store/kept-maps.ts";
import type { ObjectSummary } from "../../store/object-store.ts";
import { MemoryStore } from "../../store/testing/memory-store.ts";
import { readDiskFacts } from "../../tracking/disk-facts.ts";
import { TrackerHelper } from "../../tracking/helper.ts";
import { differencesBesidesLateDiscards } from "../../tracking/testing/late-discards.ts";
import { Load } from "../../tracking/testing/load.ts";
import { FAULTY_PROGRAM, TrackedDisk, type TrackedDiskOptions } from "../../tracking/testing/tracked-disk.ts";
import { inconsistentView } from "../inconsistent.ts";
import { preCopyView } from "../pre-copy/pre-copy.ts";
import type { FreezeLimits } from "../pre-copy/pre-copy-run.ts";
import { stillView } from "../still.ts";

/** How each file system is mounted beside the original, and checked after that. */
const CHECKS: Readonly<Record<string, { mountOptions: string; command: [string, ...string[]] }>> = {
  ext4: { mountOptions: "loop", command: ["e2fsck", "-fn"] },
  xfs: { mountOptions: "loop,nouuid", command: ["xfs_repair", "-n", "-f"] },
};

export interface LiveMachineOptions extends TrackedDiskOptions {
  /** What the tracker's program gets for each of its commands, such as `{"attach": "--omit issue"}`. */
  trackerOptions?: Readonly<Record<string, string>>;
  freeze?: FreezeLimits;
  /** As of an SSD that does not promise what discarded blocks read as. */
  mayReadDiscardedDifferently?: boolean;
  /** None if absent. */
  hooks?: HookDeps;
}

export interface StoreRequest {
  operation: "put" | "get" | "list";
  key: string;
}

/** A store that a test can slow down, and make fail. */
class WatchedStore extends MemoryStore {
  requests = 0;
  /** Runs each request. It can wait, and throw in its place or after it. */
  around: <T>(request: StoreRequest, work: () => Promise<T>) => Promise<T> = (_, work) => work();

  override put(...call: Parameters<MemoryStore["put"]>): Promise<void> {
    return this.#run("put", call[0], () => super.put(...call));
  }
  override get(...call: Parameters<MemoryStore["get"]>): Promise<Buffer> {
    return this.#run("get", call[0], () => super.get(...call));
  }
  override async *list(prefix: string): ReturnType<MemoryStore["list"]> {
    const all = async () => {
      const found: ObjectSummary[] = [];
      for await (const object of super.list(prefix)) found.push(object);
      return found;
    };
    yield* await this.#run("list", prefix, all);
  }

  #run<T>(operation: StoreRequest["operation"], key: string, work: () => Promise<T>): Promise<T> {
    this.requests += 1;
    return this.around({ operation, key }, work);
  }
}

export class LiveMachine implements AsyncDisposable {
  readonly disk: TrackedDisk;
  readonly store: WatchedStore = new WatchedStore();
  readonly deps: CaptureDeps;
  readonly #folder: string;
  readonly #fileSystem: string;

  private constructor(disk: TrackedDisk, program: string, options: LiveMachineOptions) {
    this.disk = disk;
    this.#folder = join(disk.image, "..");
    this.#fileSystem = options.fileSystem ?? "ext4";
    const dataDir = join(this.#folder, "agent");
    const tracker = new TrackerHelper(program, { pinFolder: disk.pinFolder });
    // The witness takes longer than what the agent does, and the load discards everything that is free.
    const freeze = options.freeze ?? { ms: 60_000, bytes: 512 * 2 ** 20, pausesMs: [] };
    const now = () => new Date(this.nowMs);
    const store = new KeptMaps(this.store, {
      folder: join(dataDir, "maps"),
      maxBytes: 2 ** 24,
      log: console,
      now,
    });
    const repository = { sourceId: "s1", store, dataKey: Buffer.alloc(32, 7) };
    const log = { info: () => {}, warn: () => {}, error: () => {} };
    const noHooks = { folder: join(this.#folder, "no-hooks"), pending: new PendingHooks(dataDir), log };
    const hooks = options.hooks ?? noHooks;
    this.deps = {
      disks: async () => [{ name: "sda", path: disk.device, isStill: false }],
      repository: async () => repository,
      views: {
        still: stillView({ usage: () => Promise.reject(new Error("the disk is not still")) }),
        "pre-copy": preCopyView({
          ...{ tracker, hooks, dataDir, bootId: bootId(), freeze },
          factsOf: async (path) => {
            const facts = await readDiskFacts(path);
            const { mayReadDiscardedDifferently = false } = options;
            return facts && { ...facts, mayReadDiscardedDifferently };
          },
          now: () => this.nowMs,
        }),
        inconsistent: inconsistentView,
      },
      dataDir,
      agentVersion: "1",
      requests: () => this.store.requests,
      now: () => this.nowMs,
      random: Math.random,
    };
  }

  /** The time that the agent sees. */
  nowMs = 1_900_000_000_000;

  /** Each frozen read leaves a copy of the disk, made before the thaw. */
  static async start(options: LiveMachineOptions = {}): Promise<LiveMachine> {
    const disk = await TrackedDisk.create(options);
    const folder = join(disk.image, "..");
    const program = join(folder, "tracker");
    const witness = `dd if=${disk.device} of=${join(folder, "frozen")} bs=1M iflag=direct status=none`;
    const more = { "freeze-read": `--witness '${witness}'`, ...options.trackerOptions };
    const cases = Object.entries(more).map(
      ([command, added]) => `${command}) exec "$program" "$@" ${added} ;;`,
    );
    await writeFile(
      program,
      `#!/bin/sh\nprogram='${FAULTY_PROGRAM}'\ncase $1 in\n${cases.join("\n")}\n*) exec "$program" "$@" ;;\nesac\n`,
      { mode: 0o755 },
    );
    return new LiveMachine(disk, program, options);
  }

  /** Takes a recovery point, as the control plane orders it. */
  take(
    pointId: string,
    more: { signal?: AbortSignal; allowInconsistent?: boolean; disks?: string[] } = {},
  ): Promise<TakenPoint> {
    const { signal = new AbortController().signal, allowInconsistent = false, disks = ["sda"] } = more;
    return takeRecoveryPointExecutor(this.deps)(
      { ownerId: "run_1", pointId, disks, allBlocks: false, allowInconsistent },
      executionContext({ signal }),
    );
  }

  /** The recovery points that are visible. */
  async points(): Promise<string[]> {
    return (await listPoints(await this.deps.repository())).sort();
  }

  /** What a restore of the point writes, of the disk `sda` if no other is named. */
  async restored(pointId: string, name = "sda"): Promise<Buffer> {
    const repository = await this.deps.repository();
    const disk = (await readPoint(repository, pointId)).disks.find((each) => each.name === name);
    if (!disk) throw new Error(`${pointId} has no disk ${name}`);
    return restoredDisk(repository, disk);
  }

  /** The disk as it was when it was frozen last. */
  frozen(): Promise<Buffer> {
    return readFile(join(this.#folder, "frozen"));
  }

  /** Where a copy differs from the disk as it was when it was frozen last, besides late discards. */
  async differing(copy: Buffer): Promise<number[]> {
    const [image, fileSystem] = [join(this.#folder, "frozen"), this.#fileSystem];
    return differencesBesidesLateDiscards(copy, { image, fileSystem, content: await this.frozen() });
  }

  /**
   * What the file system's own checker says of a disk's content after it was mounted and unmounted once, as
   * the clone does at its first start; empty if it finds no fault.
   */
  async faultsOf(content: Buffer): Promise<string> {
    const check = CHECKS[this.#fileSystem];
    if (!check) throw new RangeError(`no checker of ${this.#fileSystem}`);
    const path = join(this.#folder, `check-${createHash("md5").update(content).digest("hex")}`);
    const mountPoint = `${path}.mount`;
    await writeFile(path, content);
    await mkdir(mountPoint, { recursive: true });
    try {
      tool("mount", "-o", check.mountOptions, path, mountPoint);
      tool("umount", mountPoint);
      const [program, ...args] = check.command;
      tool(program, ...args, path);
      return "";
    } catch (error) {
      return String(error);
    } finally {
      await rm(path, { force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disk[Symbol.asyncDispose]();
  }
}

/** Together they take a part of a second, for which `underLoad` may have to wait. */
const LOADS_IN_A_ROW = 20;

/** Writes to the machine's file system until `work` ends. */
export async function underLoad<T>(machine: LiveMachine, seed: number, work: () => Promise<T>): Promise<T> {
  const random = new Random(seed);
  let isOver = false;
  const load = (async () => {
    while (!isOver) await Load.series(machine.disk.mountPoint, random, LOADS_IN_A_ROW).ended();
  })();
  try {
    return await work();
  } finally {
    isOver = true;
    await load;
  }
}

/** Takes points under load, and requires that each restores to the disk as it was when it was frozen. */
export async function requireInstants(
  machine: LiveMachine,
  { seed, points }: { seed: number; points: number },
): Promise<void> {
  await underLoad(machine, seed, async () => {
    for (let number = 1; number <= points; number++) {
      const taken = await machine.take(`rp_${number}`);
      expect(taken.disks).toMatchObject([
        {
          ...{ view: "pre-copy", viewReason: "it is in use" },
          ...{ consistency: "file-system", trackerDisagreements: 0 },
          mode: number === 1 ? "hash-scan" : "tracked",
        },
      ]);
      expect(taken.freezeMilliseconds).toBeGreaterThan(0);
      const { from = "", until = "" } = taken.frozen ?? {};
      expect(Date.parse(until) - Date.parse(from)).toBeGreaterThan(0);
      const restored = await machine.restored(`rp_${number}`);
      expect(await machine.differing(restored), `rp_${number} with seed ${seed}`).toEqual([]);
      expect(await machine.faultsOf(restored)).toBe("");
    }
  });
}

function bootId(): string {
  return tool("cat", "/proc/sys/kernel/random/boot_id").trim();
}
