import { WorkerPool } from "../threads/worker-pool.ts";
import type { HashCounts, HashedFile, HashTask } from "./hash-trees.ts";
import type { FromHashWorker } from "./hash-worker.ts";

/** `hashTrees` in a thread of low priority. Rejects with the signal's reason, or `WorkerFailedError`. */
export async function hashInWorker(
  task: HashTask,
  onFiles: (fileSystem: string, files: HashedFile[]) => void,
  signal: AbortSignal,
): Promise<HashCounts> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<HashCounts>();
  const pool = new WorkerPool<HashTask, FromHashWorker>({
    script: new URL("./hash-worker.ts", import.meta.url),
    started: 1,
    dataOf: () => undefined,
    onMessage: (message) => {
      if (message.kind === "done") return resolve(message.counts);
      try {
        onFiles(message.fileSystem, message.files);
      } catch (error) {
        reject(error);
      }
    },
    onError: reject,
  });
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop);
  try {
    pool.send(0, task);
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
    await pool.end();
  }
}
