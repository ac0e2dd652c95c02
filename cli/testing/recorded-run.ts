import { commands } from "../commands.ts";
import { run } from "../run.ts";

export interface RecordedRun {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs one command line in this process and returns its exit code and output. */
export async function recordedRun(
  words: string[],
  environment: Record<string, string> = {},
): Promise<RecordedRun> {
  const written = { stdout: "", stderr: "" };
  const terminal = {
    out: (text: string) => {
      written.stdout += text;
    },
    outBytes: async (bytes: Uint8Array) => {
      written.stdout += Buffer.from(bytes).toString("latin1");
    },
    err: (text: string) => {
      written.stderr += text;
    },
    interactive: false,
    columns: 100,
  };
  const code = await run(words, commands, { environment, terminal });
  return { code, ...written };
}
