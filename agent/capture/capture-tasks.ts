import type { PackOrigin } from "#shared/format/pack-index.ts";
import { type FinishedPack, ReadProcessor, type ReadTask } from "./read-processor.ts";
import type { SharedMemory } from "./shared-memory.ts";

export type ToCaptureWorker = { kind: "read"; task: ReadTask } | { kind: "flush"; last: boolean };
export type FromCaptureWorker =
  | { kind: "done"; slot: number }
  | { kind: "pack"; pack: FinishedPack }
  | { kind: "ended" };

/** Returns a function that carries out one worker's tasks, each in the thread that calls it. */
export function captureTasks(options: {
  worker: number;
  memory: SharedMemory;
  dataKey: Uint8Array;
  origin: PackOrigin;
  send: (message: FromCaptureWorker) => void;
}): (message: ToCaptureWorker) => void {
  const { worker, memory, dataKey, origin, send } = options;
  const processor = new ReadProcessor({
    ...{ memory, dataKey, origin },
    onPack: (pack) => send({ kind: "pack", pack }),
  });
  let busyMs = 0;
  return (message) => {
    const from = performance.now();
    if (message.kind === "read") {
      processor.process(message.task);
      send({ kind: "done", slot: message.task.slot });
    } else {
      processor.flush();
      if (message.last) send({ kind: "ended" });
    }
    busyMs += performance.now() - from;
    memory.times.set(worker, { busyMs: busyMs - memory.blockedMs, blockedMs: memory.blockedMs });
  };
}
