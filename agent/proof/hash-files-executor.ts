import { type HashedFiles, MOST_FILE_SYSTEMS } from "#shared/protocol/proof.ts";
import type { Executor } from "../commands/executor.ts";
import type { LocalDisk } from "../consistency/consistent-view.ts";
import { ProgressMeter } from "../progress/progress-meter.ts";
import type { Repository } from "../repository/repository.ts";
import { FileListWriter } from "./file-list.ts";
import type { hashInWorker } from "./hash-in-worker.ts";
import type { MountedTrees } from "./mounted-trees.ts";

export interface HashFilesDeps {
  disks: () => Promise<LocalDisk[]>;
  trees: (disks: readonly LocalDisk[]) => Promise<MountedTrees>;
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
export function hashFilesExecutor(deps: HashFilesDeps): Executor<"hash-files"> {
  return async ({ disks: names, frozenFrom, budgetSeconds }, { signal, progress }): Promise<HashedFiles> => {
    const meter = new ProgressMeter(progress);
    const disks = (await deps.disks()).filter(({ name }) => names.includes(name));
    const { trees, leftOut } = await deps.trees(disks);
    const writer = new FileListWriter(await deps.repository(), deps.now());
    const task = {
      trees,
      before: BigInt(Date.parse(frozenFrom) - MARGIN_MS) * 1_000_000n,
      ...{ budgetMs: budgetSeconds * 1000, seed: deps.newSeed() },
    };
    const counts = await deps.hash(
      task,
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
  };
}
