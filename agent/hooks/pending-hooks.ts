import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { replaceOwnFile } from "#shared/data-folder/replace-own-file.ts";
import { CutoverId, PointId } from "#shared/protocol/ids.ts";
import { HookName, MOST_HOOKS } from "#shared/protocol/point-hooks.ts";

const started = {
  names: z.array(HookName).min(1).max(MOST_HOOKS),
  /** The script that was started last: see `processIdentity`. */
  process: z.string().max(200).optional(),
};
const Started = z.union([
  z.strictObject({ pointId: PointId, ...started }),
  z.strictObject({ cutoverId: CutoverId, ...started }),
]);

/** The hooks whose `before` was started, in that order, and whose `after` has not run yet. */
export type StartedHooks = z.infer<typeof Started>;

/** What hooks run for. */
export type Occasion = { pointId: string } | { cutoverId: string };

export function occasionOf(hooks: StartedHooks): Occasion {
  return "pointId" in hooks ? { pointId: hooks.pointId } : { cutoverId: hooks.cutoverId };
}

/** The agent's note of them, on its disk. */
export class PendingHooks {
  readonly #path: string;

  constructor(dataDir: string, file = "pending-hooks.json") {
    this.#path = join(dataDir, file);
  }

  /** Survives a power cut when it returns. Without names, there is no note any more. */
  async write(started: StartedHooks): Promise<void> {
    if (started.names.length === 0) return rm(this.#path, { force: true });
    replaceOwnFile(this.#path, JSON.stringify(started));
  }

  /** `undefined` if no hook is pending; `unreadable` if the note is damaged, so that any hook may be. */
  async read(): Promise<StartedHooks | "unreadable" | undefined> {
    const text = await readFile(this.#path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (text === undefined) return undefined;
    try {
      return Started.parse(JSON.parse(text));
    } catch {
      return "unreadable";
    }
  }
}
