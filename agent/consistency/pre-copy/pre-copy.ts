import { TrackingUnavailableError } from "#shared/errors.ts";
import type { HookDeps } from "../../hooks/hook-run.ts";
import { readDiskFacts } from "../../tracking/disk-facts.ts";
import { kindOfDisk } from "../../tracking/kind-of-disk.ts";
import type { DiskToTrack, Tracker } from "../../tracking/tracker.ts";
import type { ConditionalView, LocalDisk } from "../consistent-view.ts";
import { closeAll, onlyOnce } from "../open-disks.ts";
import { readDeviceTree } from "./device-tree.ts";
import { LiveDisk } from "./live-disk.ts";
import { type FreezeLimits, PreCopyRun } from "./pre-copy-run.ts";
import { TrackedBases } from "./tracked-bases.ts";

export interface PreCopyDeps {
  tracker: Tracker;
  hooks: HookDeps;
  /** For what the agent knows of its recovery points. */
  dataDir: string;
  bootId: string;
  /** Milliseconds since 1970. */
  now: () => number;
  freeze?: FreezeLimits;
  factsOf?: typeof readDiskFacts;
}

/** The agent holds the bytes in memory, twice for a moment. */
const FREEZE_LIMITS: FreezeLimits = { ms: 2000, bytes: 32 * 2 ** 20, pausesMs: [1000, 5000, 20_000] };

/**
 * Copies disks while they are in use: copies all of it, copies again what changed meanwhile until little is
 * left, runs the hooks' `before` scripts, freezes the mounted file systems, reads the rest, thaws, and runs
 * the `after` scripts. The tracker in the kernel says what changed. If it knows what changed since
 * the last recovery point, the first copy reads only that.
 */
export function preCopyView(deps: PreCopyDeps): ConditionalView {
  const bases = new TrackedBases(deps.dataDir);
  const { factsOf = readDiskFacts } = deps;
  return {
    obstacles: (disks) => findObstacles(deps.tracker, disks, factsOf),
    open: async (disks, request) => {
      await deps.tracker.attach(await Promise.all(disks.map((disk) => diskToTrack(disk, factsOf))));
      const tree = await readDeviceTree();
      const now = { bootId: deps.bootId, ms: deps.now() };
      const live: LiveDisk[] = [];
      try {
        for (const disk of disks)
          live.push(await LiveDisk.open(disk, { ...deps, factsOf, bases, tree, request, now }));
      } catch (error) {
        await closeAll(live);
        throw error;
      }
      const run = new PreCopyRun(live, {
        ...deps,
        bases,
        pointId: request.pointId,
        limits: deps.freeze ?? FREEZE_LIMITS,
      });
      return {
        get freezeMilliseconds() {
          return run.freezeMilliseconds;
        },
        get frozen() {
          return run.frozen;
        },
        get hooks() {
          return run.hooks;
        },
        disks: live.map((disk) => disk.view),
        settle: (settling) => run.settle(settling),
        committed: () => run.committed(),
        close: onlyOnce(() => closeAll(live)),
      };
    },
  };
}

/** Tries each disk: versions of kernels say too little. What can be tracked is tracked from now on. */
async function findObstacles(
  tracker: Tracker,
  disks: readonly LocalDisk[],
  factsOf: typeof readDiskFacts,
): Promise<Map<string, string>> {
  const obstacles = new Map<string, string>();
  for (const disk of disks) {
    const obstacle = await obstacleOf(tracker, disk, factsOf);
    if (obstacle !== undefined) obstacles.set(disk.name, obstacle);
  }
  return obstacles;
}

async function obstacleOf(
  tracker: Tracker,
  disk: LocalDisk,
  factsOf: typeof readDiskFacts,
): Promise<string | undefined> {
  const facts = await factsOf(disk.path);
  if (!facts) return "it is no block device, so its writes cannot be followed";
  const kind = kindOfDisk(facts);
  if ("untracked" in kind) return kind.untracked;
  try {
    await tracker.attach([{ path: disk.path, events: kind.events, identity: facts.identity }]);
    return undefined;
  } catch (error) {
    if (error instanceof TrackingUnavailableError) return error.message;
    throw error;
  }
}

async function diskToTrack({ name, path }: LocalDisk, factsOf: typeof readDiskFacts): Promise<DiskToTrack> {
  const facts = await factsOf(path);
  const kind = facts && kindOfDisk(facts);
  if (!kind || "untracked" in kind)
    throw new TrackingUnavailableError("changed", `${name} is another disk now`);
  return { path, events: kind.events, identity: facts.identity };
}
