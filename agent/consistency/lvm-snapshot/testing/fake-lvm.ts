/** For tests: a volume group in memory, whose volumes are written to while LVM works. */
import { LvmFailedError } from "#shared/errors.ts";
import {
  type LiveVolume,
  type Lvm,
  type LvmState,
  LvmStuckError,
  type SnapshotFill,
  type SnapshotOrder,
} from "../lvm.ts";

export const GROUP = { name: "vg0", uuid: "group-1" };

export interface FakeLvmOptions {
  /** Volumes that a program writes to during each call that changes something. */
  busy?: readonly string[];
  /** Volumes that have other first bytes as soon as they are thawed. */
  marking?: readonly string[];
  /** Where a snapshot of this volume can be read. */
  pathOf?: (origin: string) => string;
  /** Called before and after each change; may throw, as if the agent were killed there. */
  onStep?: (step: string) => void;
}

interface FakeSnapshot {
  origin: string;
  fill: "empty" | "start" | "more";
}

export class FakeLvm implements Lvm {
  readonly volumes: LiveVolume[];
  readonly snapshots = new Map<string, FakeSnapshot>();
  /** Programs that have a snapshot open: it cannot be removed as often as this says. */
  readonly openTimes = new Map<string, number>();
  readonly changes: string[] = [];
  lost = new Set<string>();
  /** Volumes to which programs wrote what still waits in memory. */
  readonly unwritten = new Set<string>();
  isFlushing = true;
  isAnswering = true;
  refuseOrigin: string | undefined;
  stuckOrigin: string | undefined;
  /** A snapshot that is stuck in its removal. */
  stuckSnapshot: string | undefined;
  /** When the stuck program ends. */
  readonly stuckEnd = Promise.withResolvers<void>();
  readonly #options: FakeLvmOptions;

  constructor(names: readonly string[], options: FakeLvmOptions = {}) {
    this.#options = options;
    this.volumes = names.map((name) => volume(name));
  }

  async look(): Promise<LvmState | undefined> {
    if (!this.isAnswering) return undefined;
    const group = { ...GROUP, extentBytes: 2 ** 22, freeBytes: 2 ** 33, sequence: this.changes.length };
    return { volumes: [...this.volumes], groups: [group], physicalVolumes: [] };
  }

  async canSnapshot(): Promise<boolean> {
    return true;
  }

  async create({ origin, name }: SnapshotOrder): Promise<string> {
    this.#step(`create ${origin}`);
    if (origin === this.refuseOrigin) throw new LvmFailedError("refused", "no room");
    if (origin === this.stuckOrigin) throw new LvmStuckError("it has not ended", this.stuckEnd.promise);
    // It is frozen, which writes out what waits.
    this.unwritten.delete(origin);
    this.addSnapshot(origin, name);
    this.#write();
    this.#step(`created ${origin}`);
    return this.#options.pathOf?.(origin) ?? `/dev/mapper/vg0-${name}`;
  }

  async flush(): Promise<boolean> {
    if (!this.isFlushing) return false;
    for (const one of this.snapshots.values()) if (this.unwritten.has(one.origin)) one.fill = "more";
    this.unwritten.clear();
    return true;
  }

  /** Adds a snapshot without a trace of who asked for it. */
  addSnapshot(origin: string, name: string, tags: readonly string[] = ["causeway"]): void {
    this.volumes.push({ ...volume(name), roles: ["public", "snapshot"], tags });
    this.snapshots.set(name, { origin, fill: this.#options.marking?.includes(origin) ? "start" : "empty" });
  }

  async remove({ name }: { group: string; name: string }): Promise<void> {
    this.#step(`remove ${name}`);
    if (name === this.stuckSnapshot) throw new LvmStuckError("it has not ended", this.stuckEnd.promise);
    const openTimes = this.openTimes.get(name) ?? 0;
    if (openTimes > 0) {
      this.openTimes.set(name, openTimes - 1);
      throw new LvmFailedError("refused", `${name} in use`);
    }
    const at = this.volumes.findIndex((one) => one.name === name);
    if (at < 0) throw new LvmFailedError("refused", `${name} not found`);
    this.volumes.splice(at, 1);
    this.snapshots.delete(name);
    this.#write();
    this.#step(`removed ${name}`);
  }

  async fillOf({ name }: { group: string; name: string }): Promise<SnapshotFill> {
    const snapshot = this.snapshots.get(name);
    return !snapshot || this.lost.has(name) ? "lost" : snapshot.fill;
  }

  /** The programs of the machine write to the busy volumes. */
  #write(): void {
    for (const one of this.snapshots.values())
      if (this.#options.busy?.includes(one.origin)) one.fill = "more";
  }

  #step(step: string): void {
    this.changes.push(step);
    this.#options.onStep?.(step);
  }
}

function volume(name: string): LiveVolume {
  return {
    ...{ group: GROUP.name, groupUuid: GROUP.uuid, name, uuid: `uuid-${name}`, sizeBytes: 2 ** 30 },
    ...{ layout: "linear", roles: ["public"], tags: [], isSuspended: false, path: `/dev/mapper/vg0-${name}` },
  };
}
