import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { LEAN_ENVIRONMENT, LEAN_FLAGS } from "#agent/threads/lean-process.ts";
import type { AgentJob } from "./agent-job.ts";
import { type Contender, storedMiB } from "./peers.ts";
import { cpuSecondsOf, type ProcessResult, runProcess } from "./run-process.ts";

const here = import.meta.dirname;
const servers = new Map<string, { child: ChildProcess; s3: AgentJob["s3"] }>();

/** Our pipeline as an agent runs it: in its own process, encrypted, over HTTP to the embedded cloud's S3. */
export const causeway: Contender = {
  name: "causeway",
  async capture(image, folder) {
    await startServer(folder);
    const { cost, serverCpuSeconds } = await runAgent(folder, { kind: "capture", image, pointId: "p1" });
    const { limitingStage, peakMiB } = JSON.parse(cost.stdout);
    return {
      ...cost,
      rssMiB: peakMiB,
      storedMiB: await storedMiB(join(folder, "s3")),
      limitingStage,
      serverCpuSeconds,
    };
  },
  async restore(folder, to) {
    const { cost, serverCpuSeconds } = await runAgent(folder, { kind: "restore", image: to, pointId: "p1" });
    return { ...cost, rssMiB: JSON.parse(cost.stdout).peakMiB, path: to, serverCpuSeconds };
  },
  async close(folder) {
    const server = servers.get(folder);
    if (!server) return;
    servers.delete(folder);
    server.child.kill("SIGKILL");
    await once(server.child, "exit");
  },
};

/** Captures only what the image's file systems use, otherwise like `causeway`. */
export async function captureUsed(
  image: string,
  folder: string,
): Promise<{ wallSeconds: number; peakMiB: number }> {
  await startServer(folder);
  const { cost } = await runAgent(folder, { kind: "capture", image, pointId: "p1", usedOnly: true });
  return { wallSeconds: cost.wallSeconds, peakMiB: JSON.parse(cost.stdout).peakMiB };
}

/** Starts the embedded S3 of a folder; `causeway.close` ends it. */
export async function startServer(folder: string): Promise<void> {
  const child = spawn(process.execPath, [join(here, "s3-process.ts"), join(folder, "s3")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  servers.set(folder, { child, s3: JSON.parse(line) });
}

/** Runs one job of an agent on the S3 of a folder, in its own process. */
export async function runAgent(
  folder: string,
  job: Omit<AgentJob, "s3">,
): Promise<{ cost: ProcessResult; serverCpuSeconds: number }> {
  const server = servers.get(folder);
  if (!server) throw new Error("capture comes first");
  const before = cpuSecondsOf(server.child.pid ?? 0);
  const args = [...LEAN_FLAGS, join(here, "agent-process.ts"), JSON.stringify({ ...job, s3: server.s3 })];
  const cost = await runProcess(process.execPath, args, { env: LEAN_ENVIRONMENT });
  return { cost, serverCpuSeconds: cpuSecondsOf(server.child.pid ?? 0) - before };
}
