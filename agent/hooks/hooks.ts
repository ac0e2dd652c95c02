import type { PointHooks } from "#shared/protocol/point-hooks.ts";
import { endPendingHooks } from "./end-pending-hooks.ts";
import { findHooks, type Hook } from "./hook-folder.ts";
import { type HookDeps, HookRun, reasonWords } from "./hook-run.ts";
import { clipWords } from "./printable.ts";

/** Where an administrator puts hooks. */
export const HOOKS_FOLDER = "/etc/causeway/hooks";

export interface HookedView<T> {
  view: T;
  hooks: PointHooks;
}

/**
 * Runs the `before` scripts of all hooks, in the order of their names, then opens the view, then runs the
 * `after` script of each hook that was started, in reverse order: also if the view fails, or the signal is
 * aborted. If the agent is killed in between, `runPendingHooks` runs them. While the view is opened, nothing
 * is written or logged here. Rejects as `openView` does, and with the signal's reason, but never because of a
 * hook: `hooks` says how each one ended.
 */
export async function withHooks<T>(
  deps: HookDeps,
  pointId: string,
  openView: () => Promise<T>,
  signal?: AbortSignal,
): Promise<HookedView<T>> {
  const chosen = await hooksToRun(deps);
  if ("refused" in chosen) {
    deps.log.warn("no hook is run", { pointId, reason: chosen.refused });
    return { view: await openView(), hooks: { scripts: [], refused: clipWords(chosen.refused) } };
  }
  const run = new HookRun(deps, { pointId });
  let view: T;
  try {
    for (const hook of chosen.hooks) await run.before(hook, signal);
    signal?.throwIfAborted();
    view = await openView();
  } finally {
    await run.after();
    run.report();
  }
  return { view, hooks: { scripts: run.scripts } };
}

/**
 * Runs the `after` scripts that an agent which was killed did not run any more. A script that can no longer
 * be trusted stays pending; then this returns why. Otherwise returns `undefined`. An `after` that was killed
 * with the agent runs again.
 */
export async function runPendingHooks(deps: HookDeps): Promise<string | undefined> {
  try {
    const scripts = await endPendingHooks(deps, { pointId: "unknown" });
    const left = scripts.find(({ outcome }) => outcome === "not-run");
    return left && `the hook ${left.hook} is still pending from an earlier point: ${left.reason}`;
  } catch (error) {
    deps.log.error("pending hooks could not be run", { error: String(error) });
    return `hooks may be pending from an earlier point: ${reasonWords(error)}`;
  }
}

async function hooksToRun(deps: HookDeps): Promise<{ hooks: Hook[] } | { refused: string }> {
  const refused = await runPendingHooks(deps);
  if (refused) return { refused };
  try {
    return { hooks: await findHooks(deps.folder) };
  } catch (error) {
    return { refused: reasonWords(error) };
  }
}
