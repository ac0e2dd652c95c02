import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

/** A user's path often lacks the system directories, which contain half of the programs. */
const ENVIRONMENT = [
  "LC_ALL=C",
  "DEBIAN_FRONTEND=noninteractive",
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
];

/** A program ended with a status other than 0. */
export class CommandFailedError extends Error {
  override readonly name = "CommandFailedError";
}

/**
 * Runs a program to its end and returns its standard output. The program dies with this process, even if that
 * is killed, and when `signal` is aborted.
 */
export async function run(
  command: string,
  args: string[],
  options: { input?: string; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "env", ...ENVIRONMENT, command, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    signal: options.signal,
    killSignal: "SIGKILL",
  });
  // If a program ends without reading its input, its status counts, not our broken pipe.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const [output, errors, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (status !== 0) {
    const lastWords = `${output}\n${errors}`.trim().split("\n").slice(-8).join("\n");
    throw new CommandFailedError(`${command} ${args.join(" ")} ended with ${status}:\n${lastWords}`);
  }
  return output;
}

/**
 * Runs a program in its own mount and process namespace. When the program ends in any way, the kernel removes
 * its mounts and ends its processes. Needs root.
 */
export function runContained(
  command: string,
  args: string[],
  options: { input?: string; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  return run("unshare", ["--mount", "--pid", "--fork", "--kill-child", command, ...args], options);
}
