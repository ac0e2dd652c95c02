import { type ChildProcess, spawn } from "node:child_process";
import type { HookOutcome } from "#shared/protocol/point-hooks.ts";
import { OutputTail } from "./output-tail.ts";

export interface ScriptOptions {
  path: string;
  limitMs: number;
  /** The environment of the script; it gets nothing of the agent's own. */
  environment: Record<string, string>;
  /** Called once the script runs. */
  onStart: (pid: number) => void;
  /** Ends the script as the time limit does. */
  signal?: AbortSignal | undefined;
}

/** A script that has ended. What it left in the background may still run, and write to its output. */
export interface EndedScript {
  outcome: HookOutcome;
  /** Why it did not succeed. */
  reason?: string;
  seconds: number;
  stdout: OutputTail;
  stderr: OutputTail;
  /** No longer reads the output. Until then a program in the background is not ended for writing to it. */
  release(): void;
}

/** The `PATH` of scripts. */
export const SCRIPT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const KEPT_BYTES = 16 * 1024;
/** From SIGTERM to SIGKILL. */
const GRACE_MS = 2_000;
/** A process that waits for a device does not end when it is killed. */
const KILLED_MS = 1_000;
/** What a script wrote last may arrive after its end. */
const DRAIN_MS = 200;

interface Ending {
  /** In words; `undefined` if it succeeded. */
  problem: string | undefined;
}

/**
 * Runs a script in a process group of its own, without input, in the root folder. Always resolves: at the
 * latest some seconds after the limit. Does not wait for programs that the script left in the background, but
 * the time limit ends them, too.
 */
export async function runScript(options: ScriptOptions): Promise<EndedScript> {
  const { limitMs, signal } = options;
  const began = performance.now();
  const [stdout, stderr] = [new OutputTail(KEPT_BYTES), new OutputTail(KEPT_BYTES)];
  const ofRun = () => ({ seconds: (performance.now() - began) / 1000, stdout, stderr });
  const child = start(options);
  if (child instanceof Error) return { ...judge(notStarted(child)), ...ofRun(), release: () => {} };
  const ended = endingOf(child);
  if (child.pid !== undefined) options.onStart(child.pid);
  const closed = new Promise((resolve) => child.once("close", resolve));
  // There are no streams if the agent has no file descriptors left.
  child.stdout?.on("data", (chunk: Buffer) => stdout.add(chunk)).on("error", () => {});
  child.stderr?.on("data", (chunk: Buffer) => stderr.add(chunk)).on("error", () => {});
  const ending = await within(ended, limitMs, signal);
  const hasEnded = ending !== undefined || (child.pid !== undefined && (await endGroup(child.pid, ended)));
  if (hasEnded) await within(closed, DRAIN_MS);
  return {
    ...(ending ? judge(ending) : late(options, hasEnded)),
    ...ofRun(),
    release: () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
    },
  };
}

function start({ path, environment }: ScriptOptions): ChildProcess | Error {
  try {
    return spawn(path, [], {
      ...{ cwd: "/", env: environment, detached: true },
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

const notStarted = (error: Error): Ending => ({ problem: `it could not be started: ${error.message}` });

type Judged = Pick<EndedScript, "outcome" | "reason">;

function judge({ problem }: Ending): Judged {
  return problem === undefined ? { outcome: "succeeded" } : { outcome: "failed", reason: problem };
}

function late({ limitMs, signal }: ScriptOptions, hasEnded: boolean): Judged {
  const seconds = `${limitMs / 1000} seconds`;
  const reason = signal?.aborted ? "the agent was stopped" : `it did not end within ${seconds}`;
  return { outcome: "timed-out", reason: `${reason}${hasEnded ? "" : ", nor when it was killed"}` };
}

function endingOf(child: ChildProcess): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  child.once("error", (error) => resolve(notStarted(error)));
  child.once("exit", (status, signal) =>
    resolve({
      problem: status === 0 ? undefined : signal ? `${signal} ended it` : `it ended with status ${status}`,
    }),
  );
  return promise;
}

/** Ends a script and its process group; returns whether the script itself, as `ended` says, has ended. */
export async function endGroup(pid: number, ended: Promise<unknown>): Promise<boolean> {
  signalGroup(pid, "SIGTERM");
  await within(ended, GRACE_MS);
  // Also if the script has ended: others of its group may ignore SIGTERM.
  signalGroup(pid, "SIGKILL");
  return (await within(ended, KILLED_MS)) !== undefined;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Nothing of the group is left, or it cannot be ended: the caller sees which.
  }
}

/** What the promise resolves with; `undefined` once the time has passed, or the signal is aborted. */
async function within<T>(promise: Promise<T>, limitMs: number, signal?: AbortSignal): Promise<T | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const stop = () => resolve(undefined);
  const timer = setTimeout(stop, limitMs);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}
