import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { PackOrigin } from "#shared/format/pack-index.ts";
import { type FinishedPack, ReadProcessor, type ReadTask } from "./read-processor.ts";
import { type CaptureGeometry, SharedMemory } from "./shared-memory.ts";

/** What a worker is started with. */
export interface CaptureWorkerData {
  worker: number;
  geometry: CaptureGeometry;
  memory: SharedArrayBuffer;
  dataKey: Uint8Array;
  origin: PackOrigin;
}
export type ToCaptureWorker = { kind: "read"; task: ReadTask } | { kind: "flush"; last: boolean };
export type FromCaptureWorker =
  | { kind: "done"; slot: number }
  | { kind: "pack"; pack: FinishedPack }
  | { kind: "ended" };

function start(port: NonNullable<typeof parentPort>, data: CaptureWorkerData): void {
  const memory = SharedMemory.attach(data.geometry, data.memory);
  const send = (message: FromCaptureWorker) => port.postMessage(message);
  const { dataKey, origin } = data;
  const processor = new ReadProcessor({
    memory,
    dataKey,
    origin,
    onPack: (pack) => send({ kind: "pack", pack }),
  });
  let busyMs = 0;
  // Pools terminate their threads abruptly, so this is the moment to save compiled modules.
  flushCompileCache();
  port.on("message", (message: ToCaptureWorker) => {
    const from = performance.now();
    if (message.kind === "read") {
      processor.process(message.task);
      send({ kind: "done", slot: message.task.slot });
    } else {
      processor.flush();
      if (message.last) send({ kind: "ended" });
    }
    busyMs += performance.now() - from;
    memory.times.set(data.worker, { busyMs: busyMs - memory.blockedMs, blockedMs: memory.blockedMs });
  });
}

if (parentPort) start(parentPort, workerData as CaptureWorkerData);
