import { execFile } from "node:child_process";
import { HypervisorFailedError, ToolMissingError } from "#shared/errors.ts";
import { ownWords } from "../../own-words.ts";

/** Longer than a unit may take to start. */
const LIMIT_MS = 120_000;

/** What it prints. Throws `ToolMissingError`, and `HypervisorFailedError` with its own words if it fails. */
export type Systemctl = (...args: string[]) => Promise<string>;

/** The systemd of this host. */
export const localSystemctl: Systemctl = (...args) => {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = {
    ...{ timeout: LIMIT_MS, killSignal: "SIGKILL" as const },
    env: { LC_ALL: "C", PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  };
  execFile("systemctl", args, options, (error, output, errors) => {
    if (!error) resolve(output);
    else if (error.code === "ENOENT") reject(new ToolMissingError("systemctl", "systemd"));
    else {
      const why = error.killed ? `it took more than ${LIMIT_MS / 1000} s` : ownWords(errors);
      reject(new HypervisorFailedError(`systemd refused ${args.join(" ")}: ${why}`));
    }
  });
  return promise;
};
