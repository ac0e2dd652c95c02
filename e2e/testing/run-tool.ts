import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** What the program printed. Rejects if it fails. Does not block this process meanwhile. */
export async function runTool(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(program, args, { maxBuffer: 2 ** 26 });
  return stdout;
}
