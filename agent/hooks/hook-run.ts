import type { Log } from "#shared/log.ts";
import type { HookPhase, HookScript } from "#shared/protocol/point-hooks.ts";
import { findScript, type Hook } from "./hook-folder.ts";
import type { Occasion, PendingHooks } from "./pending-hooks.ts";
import { clipWords, lastLine } from "./printable.ts";
import { processIdentity } from "./process-identity.ts";
import { type EndedScript, runScript, SCRIPT_PATH } from "./run-script.ts";

export interface HookDeps {
  /** The folder with the hooks. */
  folder: string;
  pending: PendingHooks;
  log: Log;
}

/** The hooks of one occasion. */
export class HookRun {
  readonly #deps: HookDeps;
  readonly #occasion: Occasion;
  /** The hooks whose `after` must still run. */
  #started: readonly string[];
  readonly #ended: { script: HookScript; run?: EndedScript }[] = [];

  constructor(deps: HookDeps, occasion: Occasion, started: readonly string[] = []) {
    this.#deps = deps;
    this.#occasion = occasion;
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
      this.#deps.log[level]("hook ended", { ...this.#occasion, ...script, ...output });
      run?.release();
    }
  }

  async #note(names: readonly string[], pid?: number): Promise<void> {
    const process = pid === undefined ? undefined : processIdentity(pid);
    const started = { ...this.#occasion, names: [...names], ...(process ? { process } : {}) };
    await this.#deps.pending.write(started);
    this.#started = names;
  }

  async #run(
    hook: string,
    phase: HookPhase,
    script: { path: string; limitMs: number; signal?: AbortSignal | undefined },
  ): Promise<void> {
    const environment = { PATH: SCRIPT_PATH, ...idVariable(this.#occasion), CAUSEWAY_PHASE: phase };
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
    const reason = clipWords(reasonWords(error));
    this.#ended.push({ script: { hook, phase, outcome: "not-run", seconds: 0, reason } });
  }
}

function idVariable(occasion: Occasion): Record<string, string> {
  return "pointId" in occasion
    ? { CAUSEWAY_POINT_ID: occasion.pointId }
    : { CAUSEWAY_CUTOVER_ID: occasion.cutoverId };
}

export function reasonWords(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)) || "unknown error";
}
