import { execFile } from "node:child_process";
import { HypervisorFailedError, ToolMissingError } from "#shared/errors.ts";
import { SCRIPT_PATH } from "../hooks/run-script.ts";
import { ownWords } from "../hypervisor/own-words.ts";

/** The asker's end of its cable, in its own namespace. */
export const ASKER_LINK = "gateway";

const LIMIT_MS = 20_000;

/**
 * Runs `ip` with these words. Throws `ToolMissingError`, and `HypervisorFailedError` with its own words if it
 * fails.
 */
export function ipTool(...words: string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const options = {
    ...{ timeout: LIMIT_MS, killSignal: "SIGKILL" as const },
    env: { LC_ALL: "C", PATH: SCRIPT_PATH },
  };
  execFile("ip", words, options, (error, _output, errors) => {
    if (!error) resolve();
    else if (error.code === "ENOENT") reject(new ToolMissingError("ip", "iproute2"));
    else {
      const why = error.killed ? `it took more than ${LIMIT_MS / 1000} s` : ownWords(errors);
      reject(new HypervisorFailedError(`ip ${words.join(" ")}: ${why}`));
    }
  });
  return promise;
}
