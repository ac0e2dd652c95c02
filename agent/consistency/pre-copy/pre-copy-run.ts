import { setTimeout } from "node:timers/promises";
import type { BlockSet } from "#shared/domain/block-set.ts";
import { shortfallOf } from "#shared/domain/hook-shortfall.ts";
import { TrackerFailedError } from "#shared/errors.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { PointHooks } from "#shared/protocol/point-hooks.ts";
import type { FrozenTime } from "#shared/protocol/taken-point.ts";
import type { HookDeps } from "../../hooks/hook-run.ts";
import { withHooks } from "../../hooks/hooks.ts";
import { withTimeLimit } from "../../machine/time-limit.ts";
import type { FreezeOutcome } from "../../tracking/disk-status.ts";
import type { Frame, FrozenRead, Tracker } from "../../tracking/tracker.ts";
import type { FirstReading, Settling } from "../consistent-view.ts";
import { isTimeToFreeze } from "./convergence.ts";
import { readDeviceTree } from "./device-tree.ts";
import { FrozenFrames } from "./frozen-frames.ts";
import type { LiveDisk } from "./live-disk.ts";
import { findUnfrozen, settledVolumes } from "./settled-volumes.ts";
import type { TrackedBases } from "./tracked-bases.ts";
import { findVolumesToFreeze, type VolumeToFreeze } from "./volumes-to-freeze.ts";

interface RunDeps {
  tracker: Tracker;
  bases: TrackedBases;
  hooks: HookDeps;
  pointId: string;
  limits: FreezeLimits;
}

/** What freezes may cost. */
export interface FreezeLimits {
  /** How long programs of the machine wait for their writes at most. */
  ms: number;
  /** How much is read at most. */
  bytes: number;
  /** How long to wait before each further freeze, if one did not succeed because too much changed. */
  pausesMs: readonly number[];
}

/**
 * A freeze waits for each write that is under way, whatever its limit is. After this many times the limit it
 * is given up: in some kernels with faults it never returns, and nothing can end the process that froze.
 */
const GIVE_UP_AFTER = 300;

/** Too much changed: a moment later it may be less. `fstrim` marks all free space as changed. */
const BURSTS: readonly FreezeOutcome[] = ["time-limit", "byte-limit"];

/** The readings that follow the first one, until all disks have one instant. */
export class PreCopyRun {
  readonly #disks: readonly LiveDisk[];
  readonly #deps: RunDeps;
  /** Why the tracker cannot be trusted with each of these disks: no freeze then makes their copy right. */
  readonly #failures = new Map<string, string>();
  #freezeMilliseconds = 0;
  #frozen: FrozenTime | undefined;
  #hooks: PointHooks | undefined;

  constructor(disks: readonly LiveDisk[], deps: RunDeps) {
    this.#disks = disks;
    this.#deps = deps;
  }

  get freezeMilliseconds(): number {
    return this.#freezeMilliseconds;
  }

  get frozen(): FrozenTime | undefined {
    return this.#frozen;
  }

  /** How the hooks around the last freeze ended; `undefined` if there was none. */
  get hooks(): PointHooks | undefined {
    return this.#hooks;
  }

  /**
   * Reads again what changed, until a frozen read has the rest. If that does not succeed, the last reading
   * is as good as it gets, and the copies are marked as not consistent. Rejects if the signal is aborted.
   */
  async settle(settling: Settling): Promise<void> {
    await this.#finishFirst(settling);
    let failure = "";
    for (const pauseMs of [...this.#deps.limits.pausesMs, 0]) {
      await this.#copyUntilLittleIsLeft(settling);
      const { read, volumes } = await this.#freezeBetweenHooks(settling);
      if (read.outcome === "converged") return this.#end(settling, read, volumes);
      failure = wordsOf(read);
      if (BURSTS.includes(read.outcome)) await setTimeout(pauseMs, undefined, { signal: settling.signal });
      await this.#beginAgain(settling);
    }
    for (const disk of this.#disks) {
      await this.#store(settling.readAgain, disk, []);
      disk.settle({ failure: this.#failures.get(disk.name) ?? failure });
    }
    await this.#keepBases();
  }

  /** Tells the tracker that a recovery point has what was read. */
  async committed(): Promise<void> {
    for (const { path, first } of this.#tracked())
      await this.#deps.tracker.commit(path, first.status.sequence);
  }

  /** Clears the first pass, and judges the sample by what changed during the first reading. */
  async #finishFirst({ first, readAgain }: Settling): Promise<void> {
    const { tracker } = this.#deps;
    for (const disk of this.#disks) {
      const found = first.get(disk.name);
      // What an earlier attempt read may have changed before this attempt began; its first pass has that.
      if (found?.isContinued || disk.isFirstSmall) await this.#readAgain(readAgain, disk, disk.first.changed);
      await tracker.clear(disk.path);
      const { changed } = await tracker.swap(disk.path);
      await this.#readAgain(readAgain, disk, changed);
      await tracker.clear(disk.path);
      const missed = missedBlocks(found, [disk.first.changed, changed]);
      if (missed === 0) continue;
      if (disk.mayReadDiscardedDifferently) await this.#readAll(readAgain, disk, missed);
      else await this.#startTrackingAgain(readAgain, disk, missed);
    }
  }

  /**
   * The tracker did not notice changes. It starts again with a scan. What it missed of this copy is unknown.
   */
  async #startTrackingAgain(readAgain: Settling["readAgain"], disk: LiveDisk, missed: number): Promise<void> {
    const { tracker, bases } = this.#deps;
    const reason = `${missed} sampled blocks had changed, and the tracker had not noticed`;
    this.#failures.set(disk.name, reason);
    disk.noteMissed(missed);
    await bases.forget(disk.name);
    await tracker.detach(disk.path);
    disk.memory.take();
    await readAgain(disk.name, { source: disk.source, used: disk.used, changes: { unknown: reason } });
  }

  /** The blocks may have been discarded, and then prove no fault. If there is one, this repairs the copy. */
  async #readAll(readAgain: Settling["readAgain"], disk: LiveDisk, blocks: number): Promise<void> {
    disk.noteUnlike(blocks);
    // What waits in memory is older.
    disk.memory.take();
    const changes = { unknown: `${blocks} sampled blocks read differently` };
    await readAgain(disk.name, { source: disk.source, used: disk.used, changes });
  }

  async #copyUntilLittleIsLeft({ readAgain }: Settling): Promise<void> {
    // Finding them looks at every process.
    const volumes = await this.#volumes();
    let before: number | undefined;
    for (let number = 1; ; number++) {
      const bytes = await this.#copyWhatChanged(readAgain, volumes);
      if (isTimeToFreeze({ number, bytes, before })) return;
      before = bytes;
    }
  }

  /** One pass over all disks. Returns how many bytes it read. */
  async #copyWhatChanged(
    readAgain: Settling["readAgain"],
    volumes: readonly VolumeToFreeze[],
  ): Promise<number> {
    let bytes = 0;
    // What waits in memory would be written during the freeze, and be read there.
    await this.#deps.tracker.sync(volumes.map(({ mountPoint }) => mountPoint));
    for (const disk of this.#tracked()) {
      const { changed } = await this.#deps.tracker.swap(disk.path);
      bytes += changed.bytes;
      await this.#readAgain(readAgain, disk, changed);
      await this.#deps.tracker.clear(disk.path);
    }
    return bytes;
  }

  /** After a frozen read that did not end, only a first pass is sure to have what was not read. */
  async #beginAgain({ readAgain }: Settling): Promise<void> {
    for (const disk of this.#tracked()) {
      const { changed } = await this.#deps.tracker.begin(disk.path);
      await this.#readAgain(readAgain, disk, changed);
      await this.#deps.tracker.clear(disk.path);
    }
  }

  async #freezeBetweenHooks({
    readAgain,
    signal,
  }: Settling): Promise<{ read: FrozenRead; volumes: readonly VolumeToFreeze[] }> {
    if (this.#tracked().length === 0) return { read: NOTHING_TO_FREEZE, volumes: [] };
    const { hooks, pointId } = this.#deps;
    const freeze = async () => {
      // A database that prepares itself writes more than a frozen read can hold.
      await this.#copyWhatChanged(readAgain, await this.#volumes());
      const volumes = await this.#volumes();
      return { read: await this.#freeze(volumes), volumes };
    };
    const hooked = await withHooks(hooks, pointId, freeze, signal);
    this.#hooks = hooked.hooks;
    return hooked.view;
  }

  async #freeze(volumes: readonly VolumeToFreeze[]): Promise<FrozenRead> {
    const disks = this.#tracked();
    const { ms: limitMs, bytes: limitBytes } = this.#deps.limits;
    const reading = this.#deps.tracker
      .freezeRead({
        disks: disks.map(({ path }) => path),
        mounts: volumes.map(({ mountPoint }) => mountPoint),
        ignored: disks.flatMap(({ path, leftOut }) => leftOut.map((part) => ({ disk: path, ...part }))),
        ...{ limitMs, limitBytes },
      })
      .catch((error: unknown) => {
        // A file system was unmounted just now: the next attempt looks again.
        if (error instanceof TrackerFailedError && error.details.code === "no-mount") return MOUNT_GONE;
        throw error;
      });
    const read = await withTimeLimit(reading, GIVE_UP_AFTER * limitMs, () => {
      throw new TrackerFailedError("stuck", "the kernel does not return from a freeze, or from a thaw");
    });
    this.#freezeMilliseconds += read.freezeMilliseconds;
    return read;
  }

  async #end({ readAgain }: Settling, read: FrozenRead, volumes: readonly VolumeToFreeze[]): Promise<void> {
    const tree = await readDeviceTree();
    for (const disk of this.#tracked()) {
      const frozen = read.frames.filter((frame) => frame.disk === disk.path);
      await this.#store(readAgain, disk, frozen);
      const status = read.statuses.get(disk.path);
      const gap = status ? disk.gapUntil(status) : "the tracker did not say how it is";
      if (gap !== undefined) this.#failures.set(disk.name, `the tracker cannot be trusted: ${gap}`);
    }
    // Now that it is known whose copies have the instant of the freeze.
    const devices = this.#tracked().map(({ device }) => device);
    const unfrozen = await findUnfrozen(tree, devices, volumes);
    const missing = new Map<string, string>();
    for (const disk of this.#tracked()) {
      const why = await disk.whyLeftOutIsMissing(tree);
      if (why !== undefined) missing.set(disk.name, why);
    }
    const { startedAtMs, endedAtMs } = read;
    if (this.#tracked().length > 0) this.#frozen = { from: isoTime(startedAtMs), until: isoTime(endedAtMs) };
    const isPrepared = this.#hooks !== undefined && shortfallOf(this.#hooks) === undefined;
    for (const disk of this.#disks) {
      const failure = this.#failures.get(disk.name) ?? missing.get(disk.name);
      disk.settle(
        failure === undefined
          ? { volumes: settledVolumes(disk, read, { volumes, ...unfrozen }), isPrepared }
          : { failure },
      );
    }
    await this.#keepBases();
  }

  /** Before the recovery point is committed: a base without its point does no harm. */
  async #keepBases(): Promise<void> {
    const { bases, pointId } = this.#deps;
    for (const disk of this.#tracked()) await disk.keepBase(bases, pointId);
  }

  /** The disks of which the tracker, as far as is known, has seen every write. */
  #tracked(): LiveDisk[] {
    return this.#disks.filter(({ name }) => !this.#failures.has(name));
  }

  async #volumes(): Promise<VolumeToFreeze[]> {
    return findVolumesToFreeze(
      await readDeviceTree(),
      this.#tracked().map(({ device }) => device),
    );
  }

  async #readAgain(readAgain: Settling["readAgain"], disk: LiveDisk, changes: BlockSet): Promise<void> {
    if (changes.bytes === 0 || (await disk.memory.read(disk.source, changes))) return;
    // What waits in memory is older.
    await this.#store(readAgain, disk, []);
    await readAgain(disk.name, { source: disk.source, used: disk.used, changes });
  }

  /** Stores what waits in memory, and what was read after it. */
  async #store(readAgain: Settling["readAgain"], disk: LiveDisk, later: readonly Frame[]): Promise<void> {
    const source = new FrozenFrames(disk.source.sizeBytes, [...disk.memory.take(), ...later]);
    if (source.blocks.bytes === 0) return;
    await readAgain(disk.name, { source, used: disk.used, changes: source.blocks, isPartial: true });
  }
}

const NOTHING_TO_FREEZE: FrozenRead = {
  outcome: "converged",
  error: "",
  rounds: 0,
  freezeMilliseconds: 0,
  startedAtMs: 0,
  endedAtMs: 0,
  mounts: [],
  statuses: new Map(),
  frames: [],
};
const MOUNT_GONE: FrozenRead = { ...NOTHING_TO_FREEZE, outcome: "thawed" };

const isoTime = (ms: number): string => new Date(ms).toISOString();

/** How many blocks of the sample differ and are not among those that changed while they were read. */
function missedBlocks(found: FirstReading | undefined, changed: readonly BlockSet[]): number {
  const isMarked = (block: number) => changed.some((set) => set.bytesWithin(block * BLOCK_BYTES, 1) > 0);
  return (found?.differing ?? []).filter((block) => !isMarked(block)).length;
}

const OUTCOMES: Record<FreezeOutcome, string> = {
  converged: "it has one instant",
  "time-limit": "more changed than can be read while programs wait",
  "byte-limit": "more changed at once than fits into the agent's memory",
  "read-error": "a part of it could not be read while it was frozen",
  "swap-error": "the tracker failed while it was frozen",
  thawed: "another program thawed or unmounted a file system",
};

function wordsOf({ outcome, error }: FrozenRead): string {
  return error === "" ? OUTCOMES[outcome] : `${OUTCOMES[outcome]} (${error})`;
}
