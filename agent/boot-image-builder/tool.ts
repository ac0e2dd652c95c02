import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { ToolMissingError } from "#shared/errors.ts";

/** A program ended with a status other than 0; the message contains its last output. */
export class ToolFailedError extends Error {
  override readonly name = "ToolFailedError";
}

export interface ToolOptions {
  cwd?: string;
  environment?: Readonly<Record<string, string>>;
  /** The Debian package to name if the program is missing. */
  package?: string;
}

/** Runs a program to its end, without a shell, and returns its standard output. */
export async function runTool(
  command: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<string> {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: options.cwd,
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      LC_ALL: "C",
      ...options.environment,
    },
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ENOENT" ? new ToolMissingError(command, options.package ?? command) : error),
    );
    child.once("close", resolve);
  });
  const [output, errors, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (status !== 0) {
    const lastWords = `${output}\n${errors}`.trim().split("\n").slice(-8).join("\n");
    throw new ToolFailedError(`${command} ${args.slice(0, 6).join(" ")} ended with ${status}:\n${lastWords}`);
  }
  return output;
}
