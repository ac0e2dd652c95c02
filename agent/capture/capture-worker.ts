import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { PackOrigin } from "#shared/format/pack-index.ts";
import { captureTasks, type FromCaptureWorker } from "./capture-tasks.ts";
import { type CaptureGeometry, SharedMemory } from "./shared-memory.ts";

/** What a worker is started with. */
export interface CaptureWorkerData {
  worker: number;
  geometry: CaptureGeometry;
  memory: SharedArrayBuffer;
  dataKey: Uint8Array;
  origin: PackOrigin;
}

function start(port: NonNullable<typeof parentPort>, data: CaptureWorkerData): void {
  const { worker, dataKey, origin } = data;
  const memory = SharedMemory.attach(data.geometry, data.memory);
  const send = (message: FromCaptureWorker) => port.postMessage(message);
  const handle = captureTasks({ worker, memory, dataKey, origin, send });
  // Pools terminate their threads abruptly, so this is the moment to save compiled modules.
  flushCompileCache();
  port.on("message", handle);
}

if (parentPort) start(parentPort, workerData as CaptureWorkerData);
