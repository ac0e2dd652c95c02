import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CheckScriptMissingError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import { CheckScriptName } from "#shared/protocol/answer-check.ts";
import { clipWords, lastLine } from "../hooks/printable.ts";
import { runScript, SCRIPT_PATH } from "../hooks/run-script.ts";
import { requireSafe, requireSafeWay } from "../hooks/trusted-path.ts";
import type { KeptMachine } from "../hypervisor/machine-keeper.ts";

/** Where the administrator of a target host puts check scripts. */
export const CHECK_SCRIPTS_FOLDER = "/etc/causeway/checks";

/** For one run. */
const LIMIT_MS = 60_000;
const KEPT_CHARACTERS = 2000;

/** How a run of a script went that did not succeed. */
export interface ScriptRefusal {
  why: string;
  /** The end of what it wrote, as printable text; absent if it wrote nothing. */
  output?: string;
}

/**
 * The path of a script in the folder. Throws `CheckScriptMissingError`, and `UntrustedFolderError` if a user
 * other than root could decide what runs.
 */
export async function findCheckScript(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  const files = await filesIn(folder);
  if (!files.includes(name)) throw new CheckScriptMissingError(name, `in ${folder}`);
  await requireSafeWay(folder);
  // A script may read the files beside it, so they decide what runs, too.
  for (const file of files) await requireSafe(join(folder, file), file === name ? "script" : "file");
  return path;
}

/**
 * The names of the scripts in the folder that can be run now. Never rejects: what cannot be looked at cannot
 * be run, which the log says.
 */
export async function findCheckScripts(folder: string, log: Pick<Log, "warn">): Promise<string[]> {
  const warn = (path: string) => (error: unknown) => {
    log.warn("a check script cannot be run", { path, error: String(error) });
    return undefined;
  };
  const found: string[] = [];
  const names = await filesIn(folder).catch(warn(folder));
  for (const name of names?.sort() ?? []) {
    if (!CheckScriptName.safeParse(name).success) continue;
    if (await findCheckScript(folder, name).catch(warn(join(folder, name)))) found.push(name);
  }
  return found;
}

async function filesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
}

/** Runs the script once; `undefined` if it ended with status 0. The signal ends it. */
export async function scriptRefusal(
  folder: string,
  name: string,
  { name: machine, ownerId, hypervisor }: KeptMachine,
  signal: AbortSignal,
): Promise<ScriptRefusal | undefined> {
  const run = await runScript({
    ...{ path: await findCheckScript(folder, name), limitMs: LIMIT_MS, signal, onStart: () => {} },
    environment: {
      ...{ PATH: SCRIPT_PATH, CAUSEWAY_MACHINE: machine, CAUSEWAY_OWNER_ID: ownerId },
      CAUSEWAY_HYPERVISOR: hypervisor,
    },
  });
  const [stdout, stderr] = [run.stdout.text(), run.stderr.text()];
  run.release();
  if (run.outcome === "succeeded") return undefined;
  const reason = signal.aborted ? "it did not end in time" : (run.reason ?? run.outcome);
  const line = lastLine(stderr) ?? lastLine(stdout);
  const output = [stdout, stderr].filter((text) => text.trim() !== "").join("\n");
  return {
    why: line === undefined ? reason : `${reason}: ${clipWords(line)}`,
    ...(output === "" ? {} : { output: output.slice(-KEPT_CHARACTERS) }),
  };
}
