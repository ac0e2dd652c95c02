import { WrongStateError } from "#shared/errors.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import { type HashedFiles, MOST_FILE_SYSTEMS } from "#shared/protocol/proof.ts";
import type { ExecutionContext, Executor } from "../commands/executor.ts";
import type { LocalDisk } from "../consistency/consistent-view.ts";
import { ProgressMeter } from "../progress/progress-meter.ts";
import type { Repository } from "../repository/repository.ts";
import { FileListWriter } from "./file-list.ts";
import type { hashInWorker } from "./hash-in-worker.ts";
import type { HashTask } from "./hash-trees.ts";
import type { MountedTrees } from "./mounted-trees.ts";
import type { StillTrees } from "./still-trees.ts";

export interface HashFilesDeps {
  disks: () => Promise<LocalDisk[]>;
  hash: typeof hashInWorker;
  /** This source's own. */
  repository: () => Promise<Repository>;
  /** Milliseconds since 1970, by the clock that times files. */
  now: () => number;
  newSeed: () => string;
  agentVersion: string;
}

/**
 * Times of files are those of the last tick, and a clock is set by fractions of a second. A file that seems
 * not to have changed since the freeze, but has, would look like damage.
 */
const MARGIN_MS = 5000;

/** Hashes what can be compared with a clone of a recovery point. Nothing on the disks changes. */
export function hashFilesExecutor(
  deps: HashFilesDeps & { trees: (disks: readonly LocalDisk[]) => Promise<MountedTrees> },
): Executor<"hash-files"> {
  return async (input, context): Promise<HashedFiles> => {
    const { frozenFrom } = input;
    if (frozenFrom === undefined)
      throw new WrongStateError(
        "files of a running system cannot be compared with a copy of no instant",
        "A recovery point whose file systems were frozen can be proved.",
      );
    const before = BigInt(Date.parse(frozenFrom) - MARGIN_MS) * 1_000_000n;
    return hashedOf(deps, { ...(await deps.trees(await disksOf(deps, input))), before }, input, context);
  };
}

/**
 * The same in the boot environment, where nothing else writes: whatever is on the disks is what was copied
 * from them. `whileMounted`: mounts the file systems of disks for some work.
 */
export function hashStillFilesExecutor(
  deps: HashFilesDeps & {
    whileMounted: <T>(disks: readonly LocalDisk[], work: (trees: StillTrees) => Promise<T>) => Promise<T>;
  },
): Executor<"hash-files"> {
  return async (input, context): Promise<HashedFiles> => {
    const disks = await disksOf(deps, input);
    const absent = input.disks
      .filter((name) => !disks.some((disk) => disk.name === name))
      .map((place) => ({ place, why: "this disk is not there" }));
    return deps.whileMounted(disks, async ({ unopened, ...trees }) => {
      const all = [...absent, ...unopened].slice(0, MOST_FILE_SYSTEMS);
      return {
        ...(await hashedOf(deps, trees, input, context)),
        ...(all.length > 0 ? { unopened: all } : {}),
        system: "boot-environment" as const,
      };
    });
  };
}

async function disksOf({ disks }: HashFilesDeps, { disks: names }: CommandInput<"hash-files">) {
  return (await disks()).filter(({ name }) => names.includes(name));
}

async function hashedOf(
  deps: HashFilesDeps,
  { trees, leftOut, ...since }: MountedTrees & Pick<HashTask, "before">,
  { budgetSeconds }: CommandInput<"hash-files">,
  { signal, progress }: ExecutionContext,
): Promise<HashedFiles> {
  const meter = new ProgressMeter(progress);
  const writer = new FileListWriter(await deps.repository(), deps.now());
  const counts = await deps.hash(
    { trees, ...since, budgetMs: budgetSeconds * 1000, seed: deps.newSeed() },
    (fileSystem, files) => {
      writer.add(fileSystem, files);
      meter.add(files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    },
    signal,
  );
  const list = await writer.store();
  return {
    ...(list === undefined ? {} : { list }),
    ...writer.counts,
    ...counts,
    leftOut: [...leftOut, ...counts.leftOut].slice(0, MOST_FILE_SYSTEMS),
    seconds: meter.elapsedMs / 1000,
    agentVersion: deps.agentVersion,
  };
}
