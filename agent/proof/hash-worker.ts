import { flushCompileCache } from "node:module";
import { constants, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { type HashCounts, type HashedFile, type HashTask, hashTrees } from "./hash-trees.ts";

export type FromHashWorker =
  | { kind: "files"; fileSystem: string; files: HashedFile[] }
  | { kind: "done"; counts: HashCounts };

if (parentPort) {
  const port = parentPort;
  const send = (message: FromHashWorker) => port.postMessage(message);
  // Of this thread alone; schedulers of disks that know priorities derive theirs from it.
  setPriority(constants.priority.PRIORITY_LOW);
  // Pools terminate their threads abruptly, so this is the moment to save compiled modules.
  flushCompileCache();
  port.on("message", (task: HashTask) => {
    const counts = hashTrees(task, (fileSystem, files) => send({ kind: "files", fileSystem, files }));
    send({ kind: "done", counts });
  });
}
