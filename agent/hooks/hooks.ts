import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "#shared/log.ts";
import type { HookPhase, HookScript, PointHooks } from "#shared/protocol/point-hooks.ts";
import { findHooks, findScript, type Hook } from "./hook-folder.ts";
import type { PendingHooks, StartedHooks } from "./pending-hooks.ts";
import { clipWords, lastLine } from "./printable.ts";
import { findProcess, processIdentity } from "./process-identity.ts";
import { type EndedScript, endGroup, runScript, SCRIPT_PATH } from "./run-script.ts";

/** Where an administrator puts hooks. */
export const HOOKS_FOLDER = "/etc/causeway/hooks";

export interface HookDeps {
  /** The folder with the hooks. */
  folder: string;
  pending: PendingHooks;
  log: Log;
}

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
  const run = new HookRun(deps, pointId);
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
  const { pending, folder, log } = deps;
  try {
    const started = await pending.read();
    if (!started) return undefined;
    const { pointId, names } =
      started === "unreadable"
        ? { pointId: "unknown", names: (await findHooks(folder)).map(({ name }) => name) }
        : started;
    if (names.length === 0) {
      await pending.write({ pointId, names });
      return undefined;
    }
    log.warn("hooks are pending from before the agent was started", { pointId, hooks: names });
    if (started !== "unreadable") await endLeftScript(started);
    const run = new HookRun(deps, pointId, names);
    await run.after();
    run.report();
    const left = run.scripts.find(({ outcome }) => outcome === "not-run");
    return left && `the hook ${left.hook} is still pending from an earlier point: ${left.reason}`;
  } catch (error) {
    log.error("pending hooks could not be run", { error: String(error) });
    return `hooks may be pending from an earlier point: ${messageOf(error)}`;
  }
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

async function hooksToRun(deps: HookDeps): Promise<{ hooks: Hook[] } | { refused: string }> {
  const refused = await runPendingHooks(deps);
  if (refused) return { refused };
  try {
    return { hooks: await findHooks(deps.folder) };
  } catch (error) {
    return { refused: messageOf(error) };
  }
}

/** The hooks of one point. */
class HookRun {
  readonly #deps: HookDeps;
  readonly #pointId: string;
  /** The hooks whose `after` must still run. */
  #started: readonly string[];
  readonly #ended: { script: HookScript; run?: EndedScript }[] = [];

  constructor(deps: HookDeps, pointId: string, started: readonly string[] = []) {
    this.#deps = deps;
    this.#pointId = pointId;
    this.#started = started;
  }

  get scripts(): HookScript[] {
    return this.#ended.map(({ script }) => script);
  }

  async before({ name, before, limitMs }: Hook, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    try {
      await this.#note([...this.#started, name]);
    } catch (error) {
      this.#notRun(name, "before", error);
      return;
    }
    await this.#run(name, "before", { path: before, limitMs, signal });
  }

  async after(): Promise<void> {
    for (const name of this.#started.toReversed()) {
      try {
        const script = await findScript(this.#deps.folder, name, "after");
        if (script) await this.#run(name, "after", script);
      } catch (error) {
        this.#notRun(name, "after", error);
        continue;
      }
      await this.#note(this.#started.filter((other) => other !== name)).catch((error: unknown) =>
        this.#deps.log.error("an ended hook is still noted as pending", { hook: name, error: String(error) }),
      );
    }
  }

  /** Logs what the scripts wrote, and lets go of their output. */
  report(): void {
    for (const { script, run } of this.#ended) {
      const output = run && { stdout: run.stdout.text(), stderr: run.stderr.text() };
      const level = script.outcome === "succeeded" ? "info" : "warn";
      this.#deps.log[level]("hook ended", { pointId: this.#pointId, ...script, ...output });
      run?.release();
    }
  }

  async #note(names: readonly string[], pid?: number): Promise<void> {
    const process = pid === undefined ? undefined : processIdentity(pid);
    const started = { pointId: this.#pointId, names: [...names], ...(process ? { process } : {}) };
    await this.#deps.pending.write(started);
    this.#started = names;
  }

  async #run(
    hook: string,
    phase: HookPhase,
    script: { path: string; limitMs: number; signal?: AbortSignal | undefined },
  ): Promise<void> {
    const environment = { PATH: SCRIPT_PATH, CAUSEWAY_POINT_ID: this.#pointId, CAUSEWAY_PHASE: phase };
    let noted: Promise<void> | undefined;
    const onStart = (pid: number) => {
      // Without this note, only a script that an agent leaves running when it is killed would be missed.
      noted = this.#note(this.#started, pid).catch(() => undefined);
    };
    const run = await runScript({ ...script, environment, onStart });
    await noted;
    const { outcome, reason, seconds } = run;
    const line =
      outcome === "succeeded" ? undefined : (lastLine(run.stderr.text()) ?? lastLine(run.stdout.text()));
    this.#ended.push({
      script: {
        ...{ hook, phase, outcome, seconds },
        ...(reason === undefined ? {} : { reason: clipWords(reason) }),
        ...(line === undefined ? {} : { lastLine: clipWords(line) }),
      },
      run,
    });
  }

  #notRun(hook: string, phase: HookPhase, error: unknown): void {
    const reason = clipWords(messageOf(error));
    this.#ended.push({ script: { hook, phase, outcome: "not-run", seconds: 0, reason } });
  }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)) || "unknown error";
}
