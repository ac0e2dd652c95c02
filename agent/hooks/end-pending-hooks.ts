import { setTimeout as sleep } from "node:timers/promises";
import type { HookScript } from "#shared/protocol/point-hooks.ts";
import { findHooks } from "./hook-folder.ts";
import { type HookDeps, HookRun } from "./hook-run.ts";
import { type Occasion, occasionOf, type StartedHooks } from "./pending-hooks.ts";
import { findProcess } from "./process-identity.ts";
import { endGroup } from "./run-script.ts";

/**
 * Runs the `after` script of each hook whose `before` was started, in reverse order, and returns how each
 * one ended. A script that can no longer be trusted stays pending (`not-run`). If the note of them is
 * damaged, those of all hooks are run, for the occasion `unknown`. Throws `UntrustedFolderError` if it cannot
 * be known which there are.
 */
export async function endPendingHooks(deps: HookDeps, unknown: Occasion): Promise<HookScript[]> {
  const { pending, folder, log } = deps;
  const started = await pending.read();
  if (!started) return [];
  const isKnown = started !== "unreadable";
  const occasion = isKnown ? occasionOf(started) : unknown;
  const names = isKnown ? started.names : (await findHooks(folder)).map(({ name }) => name);
  if (names.length === 0) {
    await pending.write({ ...occasion, names });
    return [];
  }
  log.warn("hooks are pending", { ...occasion, hooks: names });
  if (isKnown) await endLeftScript(started);
  const run = new HookRun(deps, occasion, names);
  await run.after();
  run.report();
  return run.scripts;
}

/** A script that an agent which was killed had started could otherwise begin something after its `after`. */
async function endLeftScript({ process }: StartedHooks): Promise<void> {
  const pid = process === undefined ? undefined : findProcess(process);
  if (process === undefined || pid === undefined) return;
  await endGroup(pid, untilGone(process));
}

async function untilGone(process: string): Promise<true> {
  for (let turn = 0; turn < 50 && findProcess(process) !== undefined; turn++) await sleep(100);
  return true;
}
