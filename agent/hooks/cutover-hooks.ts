import { CutoverHookFailedError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import type { HookScript } from "#shared/protocol/point-hooks.ts";
import { endPendingHooks } from "./end-pending-hooks.ts";
import { findHooks } from "./hook-folder.ts";
import { type HookDeps, HookRun } from "./hook-run.ts";
import { PendingHooks } from "./pending-hooks.ts";

/** Where the administrator of a source puts the hooks of its cutover. */
const FOLDER = "/etc/causeway/cutover-hooks";
/** The agent's note of those whose `after` has not run, in its folder. */
const NOTE = "pending-cutover-hooks.json";

/** The hooks of this source, whose agent has this data folder. */
export function cutoverHooksOf(dataDir: string, log: Log): CutoverHooks {
  return new CutoverHooks({ folder: FOLDER, pending: new PendingHooks(dataDir, NOTE), log });
}

/** The hooks that run on a source before a cutover stops its services, and after they may run again. */
export class CutoverHooks {
  readonly #deps: HookDeps;

  constructor(deps: HookDeps) {
    this.#deps = deps;
  }

  /**
   * Runs the `before` script of each hook, in the order of their names, up to the first that does not
   * succeed. Repeating it first undoes what was done before. Throws `CutoverHookFailedError`,
   * `UntrustedFolderError`, or the signal's reason; `after` undoes what was done until then.
   */
  async before(cutoverId: string, signal: AbortSignal): Promise<void> {
    const { folder } = this.#deps;
    const left = await this.after();
    if (left) throw left;
    const run = new HookRun(this.#deps, { cutoverId });
    try {
      for (const hook of await findHooks(folder)) {
        await run.before(hook, signal);
        signal.throwIfAborted();
        const failed = failureAmong(run.scripts);
        if (failed) throw failed;
      }
    } finally {
      run.report();
    }
  }

  /**
   * Runs the `after` script of each hook whose `before` was started since the last time, in reverse order.
   * Resolves with why the first of those that did not succeed did not, or `undefined`.
   */
  async after(): Promise<CutoverHookFailedError | undefined> {
    return failureAmong(await endPendingHooks(this.#deps, { cutoverId: "unknown" }));
  }
}

function failureAmong(scripts: readonly HookScript[]): CutoverHookFailedError | undefined {
  const failed = scripts.find(({ outcome }) => outcome !== "succeeded");
  if (!failed) return undefined;
  const { hook, phase, reason, lastLine } = failed;
  return new CutoverHookFailedError(
    `${hook}/${phase}`,
    [reason, lastLine].filter((part) => part !== undefined).join(": "),
  );
}
