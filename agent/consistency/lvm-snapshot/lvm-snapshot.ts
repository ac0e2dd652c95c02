import { shortfallOf } from "#shared/domain/hook-shortfall.ts";
import { LvmFailedError } from "#shared/errors.ts";
import type { PointHooks } from "#shared/protocol/point-hooks.ts";
import type { FrozenTime } from "#shared/protocol/taken-point.ts";
import { type DiskSource, openDisk } from "../../disk/disk-source.ts";
import type { HookDeps } from "../../hooks/hook-run.ts";
import { withHooks } from "../../hooks/hooks.ts";
import type { Machine } from "../../machine/machine.ts";
import type {
  ConditionalView,
  ConsistentView,
  DiskView,
  LocalDisk,
  ViewRequest,
} from "../consistent-view.ts";
import { onlyOnce } from "../open-disks.ts";
import { swapDevices } from "../pre-copy/swap-space.ts";
import type { DeviceTree } from "../pre-copy/volumes-to-freeze.ts";
import { isWithin } from "../pre-copy/within.ts";
import { faultOnDevices } from "../volume-fault.ts";
import { flushMounted } from "./flush-memory.ts";
import type { Lvm } from "./lvm.ts";
import { readFacts } from "./machine-facts.ts";
import { sectorsWritten } from "./partitions.ts";
import { remarkOnSnapshots, type SnapshotCopy, snapshotCopyOf, type ViewedVolume } from "./snapshot-copy.ts";
import { SnapshotDisk } from "./snapshot-disk.ts";
import { planSnapshots, type SnapshotPlan } from "./snapshot-plan.ts";
import type { Snapshots } from "./snapshots.ts";
import { type Facts, type SurveyedDisk, surveyDisk } from "./survey.ts";
import { takenSwap } from "./taken-swap.ts";

export interface LvmSnapshotDeps {
  lvm: Lvm;
  snapshots: Snapshots;
  machine: Pick<Machine, "run">;
  hooks: HookDeps;
}

const NO_SNAPSHOTS = "the kernel has no snapshots (dm-snapshot)";

/**
 * Reads disks in use through snapshots of their logical volumes. LVM freezes a mounted file system while it
 * makes its snapshot. What is outside of LVM is read directly, and must not change meanwhile.
 */
export function lvmSnapshotView(deps: LvmSnapshotDeps): ConditionalView {
  /** Disks of open views, whose own snapshots are no obstacle to a view that comes after them. */
  const viewed = new Set<string>();
  return {
    obstacles: async (disks) => {
      const plan = await prepare(
        deps,
        disks.filter(({ path }) => !viewed.has(path)),
      );
      return plan.obstacles;
    },
    open: async (disks, request) => {
      const forget = () => disks.forEach(({ path }) => void viewed.delete(path));
      for (const { path } of disks) viewed.add(path);
      try {
        const view = await open(deps, disks, request);
        return { ...view, close: () => view.close().finally(forget) };
      } catch (error) {
        forget();
        throw error;
      }
    },
  };
}

interface Prepared extends SnapshotPlan {
  found: readonly SurveyedDisk[];
  facts?: Facts;
}

async function prepare(deps: LvmSnapshotDeps, disks: readonly LocalDisk[]): Promise<Prepared> {
  const refuse = (obstacle: string): Prepared => ({
    obstacles: new Map(disks.map(({ name }) => [name, obstacle])),
    origins: [],
    found: [],
  });
  try {
    await deps.snapshots.removeLeftovers();
    const facts = await readFacts(deps.lvm);
    if (!facts || facts.state.groups.length === 0) return refuse("it has no LVM");
    const surveyed = await Promise.all(disks.map((disk) => surveyDisk(disk, facts)));
    const found = surveyed.flatMap((one) => ("obstacle" in one ? [] : [one]));
    if (found.length > 0 && !(await deps.lvm.canSnapshot())) return refuse(NO_SNAPSHOTS);
    const plan = planSnapshots(found, facts.state, facts);
    const obstacles = new Map(plan.obstacles);
    for (const [at, one] of surveyed.entries())
      if ("obstacle" in one) obstacles.set(disks[at]?.name ?? "", one.obstacle);
    return { ...plan, obstacles, found, facts };
  } catch (error) {
    if (error instanceof LvmFailedError) return refuse(error.message);
    throw error;
  }
}

async function open(
  deps: LvmSnapshotDeps,
  disks: readonly LocalDisk[],
  { pointId, allBlocks }: ViewRequest,
): Promise<ConsistentView> {
  const { found, facts, origins, obstacles } = await prepare(deps, disks);
  const [obstacle] = obstacles.values();
  if (obstacle !== undefined || !facts) throw new LvmFailedError("changed", obstacle ?? "it does not answer");
  const opened: { close(): Promise<void> }[] = [];
  const close = onlyOnce(() => closeInOrder(opened.toReversed()));
  try {
    await flushMounted(directlyRead(found), facts.tree);
    const own: SnapshotDisk[] = [];
    for (const one of found) {
      const disk = await SnapshotDisk.open(one, facts);
      opened.push(disk);
      own.push(disk);
    }
    const inPart = await volumesInPart(found, facts.tree);
    const quietFirst = await inOrderOfWrites(origins);
    const { view: taken, hooks } = await withHooks(deps.hooks, pointId, async () => {
      const made = await deps.snapshots.take(quietFirst);
      opened.push({ close: () => deps.snapshots.release(made.snapshots) });
      return made;
    });
    for (const disk of own) await disk.requireUnmoved();
    const sources = new Map<string, DiskSource>();
    for (const { origin, path } of taken.snapshots) {
      const source = await openDisk(path);
      opened.push(source);
      sources.set(origin.uuid, source);
    }
    const view = new OpenView(deps, { facts, disks: own, sources, inPart, taken, hooks });
    return { ...view.facts, disks: await view.diskViews(allBlocks), close };
  } catch (error) {
    // The cause matters more than a failure to close.
    await close().catch(() => undefined);
    throw error;
  }
}

/** One after the other: LVM removes no snapshot that is still open. Then throws the first failure. */
async function closeInOrder(all: readonly { close(): Promise<void> }[]): Promise<void> {
  const failures: unknown[] = [];
  for (const one of all) await one.close().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** The devices of logical volumes that have bytes on other disks, too. */
async function volumesInPart(found: readonly SurveyedDisk[], tree: DeviceTree): Promise<Set<string>> {
  const disks = new Set(found.map(({ device }) => device));
  const active = new Set(found.flatMap(({ volumes }) => volumes.flatMap(({ live }) => live.device ?? [])));
  const inPart = new Set<string>();
  for (const device of active) if (!(await isWithin(tree, device, disks))) inPart.add(device);
  return inPart;
}

/** What is wrong with the mounted file systems on these devices, in words. */
async function faultsOn(devices: readonly string[], tree: DeviceTree): Promise<Map<string, string>> {
  const faults = new Map<string, string>();
  for (const device of devices) {
    const fault = await faultOnDevices(tree, [device]);
    if (fault !== undefined) faults.set(device, fault);
  }
  return faults;
}

/** What is outside of LVM, which no snapshot freezes. */
const directlyRead = (found: readonly SurveyedDisk[]): ReadonlySet<string> =>
  new Set(found.flatMap((one) => one.direct.map(({ device }) => device)));

/** The last ones have the best chance to show one instant. */
async function inOrderOfWrites(origins: SnapshotPlan["origins"]): Promise<SnapshotPlan["origins"]> {
  const counted = await Promise.all(
    origins.map(async (origin) => ({ origin, sectors: await sectorsWritten(origin.device) })),
  );
  return counted.sort((a, b) => a.sectors - b.sectors).map(({ origin }) => origin);
}

interface Opened {
  facts: Facts;
  disks: readonly SnapshotDisk[];
  /** The snapshots, by the uuids of their volumes. */
  sources: ReadonlyMap<string, DiskSource>;
  /** Devices of volumes. */
  inPart: ReadonlySet<string>;
  taken: Awaited<ReturnType<Snapshots["take"]>>;
  hooks: PointHooks;
}

/** Disks whose snapshots are there. */
class OpenView {
  readonly #deps: LvmSnapshotDeps;
  readonly #opened: Opened;
  readonly #copies = new Map<string, SnapshotCopy>();

  constructor(deps: LvmSnapshotDeps, opened: Opened) {
    this.#deps = deps;
    this.#opened = opened;
  }

  get facts(): { freezeMilliseconds: number; hooks: PointHooks; frozen?: FrozenTime } {
    const { hooks, taken, sources } = this.#opened;
    const { shared, fromMs, untilMs } = taken.instant;
    return {
      ...{ freezeMilliseconds: taken.tookMs, hooks },
      ...(shared.size === sources.size ? { frozen: { from: isoTime(fromMs), until: isoTime(untilMs) } } : {}),
    };
  }

  async diskViews(allBlocks: boolean): Promise<DiskView[]> {
    const content = `lvm-snapshot ${this.#opened.taken.snapshots.map(({ name }) => name).join(" ")}`;
    const views: DiskView[] = [];
    for (const disk of this.#opened.disks) {
      const source = disk.compose(this.#opened.sources, () => this.#requireWhole());
      const { used, wholeCopies } = await disk.usageOf(source, { allBlocks, machine: this.#deps.machine });
      views.push({
        ...{ name: disk.name, source, used, content },
        changes: { unknown: "snapshots do not say what changed" },
        copy: async () => {
          const copy = { ...(await this.#copyOf(disk)), wholeCopies };
          this.#copies.set(disk.name, copy);
          return snapshotCopyOf(copy);
        },
        remark: () => {
          const copy = this.#copies.get(disk.name);
          return copy && remarkOnSnapshots(copy);
        },
      });
    }
    return views;
  }

  /** Throws if a snapshot filled up: what was read of it since then would be errors. */
  #requireWhole(): Promise<void> {
    return this.#deps.snapshots.requireWhole(this.#opened.taken.snapshots);
  }

  async #copyOf(disk: SnapshotDisk): Promise<Omit<SnapshotCopy, "wholeCopies">> {
    await this.#requireWhole();
    const state = await this.#deps.lvm.look();
    const activated = disk.found.volumes.filter(({ live }) => {
      const now = state?.volumes.find(({ uuid }) => uuid === live.uuid);
      return live.device === undefined && (!now || now.device !== undefined);
    });
    const { facts, taken, sources } = this.#opened;
    const swaps = await swapDevices(facts.tree);
    return {
      volumes: await this.#volumesOf(disk),
      isOneInstant: taken.instant.shared.size === sources.size,
      isPrepared: shortfallOf(this.#opened.hooks) === undefined,
      changed: [
        ...(await disk.directly.changed()),
        ...activated.map(({ live }) => `${live.group}/${live.name} was activated while it was read`),
        ...takenSwap(disk.found, facts.swaps, swaps),
      ],
    };
  }

  async #volumesOf({ found: { volumes, direct } }: SnapshotDisk): Promise<ViewedVolume[]> {
    const { facts, inPart, taken } = this.#opened;
    const apart = taken.snapshots.flatMap(({ origin: { uuid } }) =>
      taken.instant.shared.has(uuid) ? [] : [uuid],
    );
    const faults = await faultsOn(
      [...volumes.flatMap(({ live }) => live.device ?? []), ...direct.map(({ device }) => device)],
      facts.tree,
    );
    return [
      ...volumes.flatMap(({ live: { group, name, uuid, device } }): ViewedVolume[] => {
        if (device === undefined) return [];
        if (facts.swaps.includes(device)) return [{ name: `${group}/${name}`, kind: "swap", instant: 1 }];
        const frozen = inPart.has(device) ? "part-snapshot" : "snapshot";
        const kind = facts.freezable.has(device) ? frozen : "raw-snapshot";
        // 1 if it is not apart.
        const instant = apart.indexOf(uuid) + 2;
        return [{ name: `${group}/${name}`, kind, instant, fault: faults.get(device) }];
      }),
      ...direct.flatMap(({ number, device }): ViewedVolume[] => {
        const isSwap = facts.swaps.includes(device);
        if (!isSwap && !facts.mounted.has(device)) return [];
        const kind = isSwap ? "swap" : "partition";
        return [{ name: `partition ${number}`, kind, instant: 1, fault: faults.get(device) }];
      }),
    ];
  }
}

const isoTime = (ms: number): string => new Date(ms).toISOString();
