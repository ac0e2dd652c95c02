import { execFile } from "node:child_process";

export interface ToolResult {
  succeeded: boolean;
  output: string;
  /** The last line that it complained with, or why it did not run. */
  complaint: string;
}

/** A file system with a long list of orphans takes minutes to mount under emulation. */
const LIMIT_MS = 4 * 60_000;

/** The list of the files in an initramfs takes some megabytes. */
const MOST_OUTPUT_BYTES = 64 * 2 ** 20;

/** Runs a program of the boot image to its end; never rejects. */
export function runGuestTool(command: string, ...args: string[]): Promise<ToolResult> {
  return runGuestToolWithin(LIMIT_MS, command, ...args);
}

/** The same with another limit. */
export function runGuestToolWithin(timeout: number, command: string, ...args: string[]): Promise<ToolResult> {
  return runTool({ timeout, input: "" }, command, args);
}

/** The same for a program that reads this from its standard input. */
export function runGuestToolWith(input: Buffer, command: string, ...args: string[]): Promise<ToolResult> {
  return runTool({ timeout: LIMIT_MS, input }, command, args);
}

function runTool(
  { timeout, input }: { timeout: number; input: string | Buffer },
  command: string,
  args: readonly string[],
): Promise<ToolResult> {
  const { promise, resolve } = Promise.withResolvers<ToolResult>();
  const options = { timeout, killSignal: "SIGKILL", maxBuffer: MOST_OUTPUT_BYTES } as const;
  const child = execFile(command, args, options, (error, output, errors) => {
    // `mount` ends its complaints with a hint.
    const lines = errors
      .trim()
      .split("\n")
      .filter((line) => !line.trim().startsWith("dmesg(1)"));
    const complaint = lines.at(-1) || error?.message.split("\n")[0] || "";
    resolve({ succeeded: error === null, output, complaint: complaint.slice(0, 300) });
  });
  // If a program ends without reading its input, its status counts.
  child.stdin?.on("error", () => undefined).end(input);
  return promise;
}
