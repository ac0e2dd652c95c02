import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** The resources that a process used, including its children. */
export interface ProcessCost {
  wallSeconds: number;
  cpuSeconds: number;
  /** The largest resident set of any of its processes. */
  rssMiB: number;
}

export interface ProcessResult extends ProcessCost {
  stdout: string;
}

const SAMPLE_MS = 20;

/** Runs a command to its end; throws with its output if it fails. */
export async function runProcess(
  command: string,
  args: string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<ProcessResult> {
  // The shell's `time` is the one portable way to a finished child's CPU time; Node has none.
  const script = 'TIMEFORMAT="bench-time %R %U %S"; time "$0" "$@"';
  const child = spawn("bash", ["-c", script, command, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let rssKiB = 0;
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const sampler = setInterval(() => {
    rssKiB = Math.max(rssKiB, ...descendants(child.pid ?? 0).map(peakKiB));
  }, SAMPLE_MS);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  clearInterval(sampler);
  const [, wall, user, system] = /bench-time ([\d.]+) ([\d.]+) ([\d.]+)\s*$/.exec(stderr) ?? [];
  if (code !== 0 || wall === undefined)
    throw new Error(`${command} ${args.join(" ")} failed:\n${stdout}${stderr}`);
  return {
    wallSeconds: Number(wall),
    cpuSeconds: Number(user) + Number(system),
    rssMiB: rssKiB / 1024,
    stdout,
  };
}

function descendants(pid: number): number[] {
  const children = readOr(`/proc/${pid}/task/${pid}/children`).trim().split(" ").filter(Boolean).map(Number);
  return [...children, ...children.flatMap(descendants)];
}

/** A process's highest resident set so far, which outlives the sample that misses the peak. */
export function peakKiB(pid: number | "self"): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readOr(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** CPU seconds of a running process. */
export function cpuSecondsOf(pid: number): number {
  const fields = readOr(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
  // Fields 14 and 15 of stat, counted from the third here; in ticks of 10 ms.
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}

/** Reads a file of /proc. Returns `undefined` if the process has ended. */
function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
