import type { Executor, Executors } from "../commands/executor.ts";
import { Semaphore } from "../threads/semaphore.ts";

/**
 * What mounts file systems of the disks, one after the other: the kernel mounts one either to be read or to
 * be written to.
 */
export function diskExecutors({
  setFence,
  hashFiles,
}: {
  setFence: Executor<"set-fence">;
  hashFiles: Executor<"hash-files">;
}): Required<Pick<Executors, "set-fence" | "hash-files">> {
  const turns = new Semaphore(["the disks"]);
  const alone = async <T>(work: () => Promise<T>): Promise<T> => {
    const turn = await turns.take();
    try {
      return await work();
    } finally {
      turns.give(turn);
    }
  };
  return {
    "set-fence": (...asked) => alone(() => setFence(...asked)),
    "hash-files": (...asked) => alone(() => hashFiles(...asked)),
  };
}
