import { LvmFailedError, SnapshotLostError } from "#shared/errors.ts";
import { retry } from "#shared/retry.ts";
import type { KeptSnapshot, KeptSnapshots } from "./kept-snapshots.ts";
import { type LiveVolume, type Lvm, LvmStuckError, SNAPSHOT_TAG, type SnapshotFill } from "./lvm.ts";

/** A volume of which a snapshot is to be made. */
export interface Origin extends Pick<LiveVolume, "group" | "groupUuid" | "name" | "uuid"> {
  snapshotBytes: number;
  /**
   * Whether its file system writes its superblock when it is thawed, as ext4 does to mark itself as in use.
   * Its content is the same then.
   */
  marksItself: boolean;
}

export interface VolumeSnapshot {
  origin: Origin;
  name: string;
  /** Of its device. */
  path: string;
}

export interface Instant {
  /** The uuids of the volumes whose snapshots show one instant. */
  shared: ReadonlySet<string>;
  /** When that was, in milliseconds since 1970. */
  fromMs: number;
  untilMs: number;
}

export interface TakenSnapshots {
  snapshots: VolumeSnapshot[];
  instant: Instant;
  /** How long LVM took. Programs that write to the volumes waited for some of this time. */
  tookMs: number;
}

export interface SnapshotsDeps {
  lvm: Lvm;
  kept: KeptSnapshots;
  /** Writes to the volumes what programs wrote and still waits in memory. Returns whether that worked. */
  flush: () => Promise<boolean>;
  /** Milliseconds since 1970. */
  now: () => number;
  /** A text that was never used before, of lower-case letters and digits. */
  newId: () => string;
  /** How long to wait before each further try to remove a snapshot: udev may just look at it. */
  pausesMs: readonly number[];
}

/** How often snapshots are made again so that more of them show one instant. */
const ROUNDS = 2;

/** The snapshots of this machine that the agent makes, and removes. */
export class Snapshots {
  readonly #deps: SnapshotsDeps;
  /** Those of open views, and those that a program of LVM may still make or remove. */
  readonly #busy = new Set<string>();

  constructor(deps: SnapshotsDeps) {
    this.#deps = deps;
  }

  /** Makes a snapshot of each volume, in this order, or none. */
  async take(origins: readonly Origin[]): Promise<TakenSnapshots> {
    const startedMs = this.#deps.now();
    const made = new Map<string, VolumeSnapshot>();
    try {
      let { latest, moved, isFlushed } = await this.#makeAndLook(origins, made);
      for (let round = 0; round < ROUNDS && moved.length > 0 && isFlushed; round++) {
        for (const snapshot of moved) await this.#remove(snapshot);
        const again = moved.map(({ origin }) => origin);
        ({ latest, moved, isFlushed } = await this.#makeAndLook(again, made));
      }
      const own = new Set(moved.map(({ origin }) => origin.uuid));
      const shared = new Set([...made.keys()].filter((uuid) => !own.has(uuid)));
      const { fromMs, untilMs } = latest;
      const tookMs = this.#deps.now() - startedMs;
      return { snapshots: [...made.values()], instant: { shared, fromMs, untilMs }, tookMs };
    } catch (error) {
      await this.release([...made.values()]).catch(() => undefined);
      throw error;
    }
  }

  /** Throws `SnapshotLostError` if one of them can no longer be read as it was. */
  async requireWhole(snapshots: readonly VolumeSnapshot[]): Promise<void> {
    for (const snapshot of snapshots)
      if ((await this.#fillOf(snapshot)) === "lost")
        throw new SnapshotLostError(`${snapshot.origin.group}/${snapshot.origin.name}`);
  }

  /**
   * Removes snapshots that `take` made. Rejects if one stays; the next call of `removeLeftovers` tries
   * again.
   */
  async release(snapshots: readonly VolumeSnapshot[]): Promise<void> {
    for (const { name } of snapshots) this.#busy.delete(name);
    await this.removeLeftovers();
  }

  /**
   * Removes every snapshot that this agent has made, in an earlier life too, except those of open views.
   * Rejects if one stays.
   */
  async removeLeftovers(): Promise<void> {
    const { kept, lvm } = this.#deps;
    const left = (await kept.all()).filter(({ name }) => !this.#busy.has(name));
    if (left.length === 0) return;
    const state = await lvm.look();
    if (!state) throw new LvmFailedError("no-answer", "LVM does not say which snapshots are left");
    const failures: unknown[] = [];
    for (const one of left) {
      const found = state.volumes.find(({ groupUuid, name }) => isSame(one, { groupUuid, name }));
      try {
        if (found && isOurs(found)) await this.#removeWithPauses(found);
        await kept.forget(one);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /**
   * Makes snapshots, and looks which volumes were written to since theirs was made. What programs wrote since
   * then may still wait in memory, and no snapshot shows that. So it is written out before the look.
   */
  async #makeAndLook(
    origins: readonly Origin[],
    made: Map<string, VolumeSnapshot>,
  ): Promise<{ latest: Made; moved: VolumeSnapshot[]; isFlushed: boolean }> {
    const latest = await this.#makeAll(origins, made);
    const isFlushed = made.size < 2 || (await this.#deps.flush());
    const moved = await this.#moved(made, latest.uuid);
    const others = [...made.values()].filter(({ origin }) => origin.uuid !== latest.uuid);
    return { latest, moved: isFlushed ? moved : others, isFlushed };
  }

  async #makeAll(origins: readonly Origin[], made: Map<string, VolumeSnapshot>): Promise<Made> {
    let latest: Made = { uuid: "", fromMs: 0, untilMs: 0 };
    for (const origin of origins) {
      const fromMs = this.#deps.now();
      made.set(origin.uuid, await this.#make(origin));
      latest = { uuid: origin.uuid, fromMs, untilMs: this.#deps.now() };
    }
    return latest;
  }

  async #make(origin: Origin): Promise<VolumeSnapshot> {
    const { group, groupUuid } = origin;
    const name = `${SNAPSHOT_TAG}_${this.#deps.newId()}`;
    // First: another call may remove leftovers meanwhile.
    this.#busy.add(name);
    await this.#deps.kept.add({ groupUuid, name });
    const order = { group, origin: origin.name, name, sizeBytes: origin.snapshotBytes };
    try {
      return { origin, name, path: await this.#deps.lvm.create(order) };
    } catch (error) {
      if (error instanceof LvmStuckError) this.#keepUntilEnded(name, error);
      else this.#busy.delete(name);
      throw error;
    }
  }

  /**
   * The snapshots whose volume was written to since they were made, but for the latest: a snapshot that has
   * kept nothing after all was written out shows its volume as it is, and as it was when the latest was made.
   */
  async #moved(made: ReadonlyMap<string, VolumeSnapshot>, latest: string): Promise<VolumeSnapshot[]> {
    const moved: VolumeSnapshot[] = [];
    for (const snapshot of made.values()) {
      const { uuid, group, name, marksItself } = snapshot.origin;
      const fill = await this.#fillOf(snapshot);
      if (fill === "lost") throw new SnapshotLostError(`${group}/${name}`);
      const isSame = fill === "empty" || (fill === "start" && marksItself);
      if (!isSame && uuid !== latest) moved.push(snapshot);
    }
    return moved;
  }

  #fillOf({ origin: { group }, name }: VolumeSnapshot): Promise<SnapshotFill> {
    return this.#deps.lvm.fillOf({ group, name });
  }

  async #remove({ origin: { group, groupUuid }, name }: VolumeSnapshot): Promise<void> {
    await this.#removeWithPauses({ group, name });
    this.#busy.delete(name);
    await this.#deps.kept.forget({ groupUuid, name });
  }

  /** A program that is late may still make or remove this snapshot: no other one touches it meanwhile. */
  #keepUntilEnded(name: string, { ended }: LvmStuckError): void {
    this.#busy.add(name);
    void ended.then(() => this.#busy.delete(name));
  }

  async #removeWithPauses(snapshot: { group: string; name: string }): Promise<void> {
    const { lvm, pausesMs } = this.#deps;
    try {
      await retry(() => lvm.remove(snapshot), {
        // A second program would wait for the first one.
        isRetryable: (error): error is unknown => !(error instanceof LvmStuckError),
        attempts: pausesMs.length + 1,
        delayMs: (failures) => pausesMs[failures - 1] ?? 0,
      });
    } catch (error) {
      if (error instanceof LvmStuckError) this.#keepUntilEnded(snapshot.name, error);
      throw error;
    }
  }
}

/** The snapshot that was made last, by the uuid of its volume, and when. */
type Made = Pick<Instant, "fromMs" | "untilMs"> & { uuid: string };

const isSame = (a: KeptSnapshot, b: KeptSnapshot): boolean =>
  a.name === b.name && a.groupUuid === b.groupUuid;

/**
 * LVM makes a plain volume first, so a power cut can leave that. An administrator who makes something else
 * of a snapshot takes its tag away, or uses it as the origin of another.
 */
const isOurs = ({ roles, tags }: LiveVolume): boolean =>
  tags.includes(SNAPSHOT_TAG) && !roles.includes("origin");
