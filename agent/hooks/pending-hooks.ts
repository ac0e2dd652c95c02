import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { replaceOwnFile } from "#shared/data-folder/replace-own-file.ts";
import { PointId } from "#shared/protocol/ids.ts";
import { HookName, MOST_HOOKS } from "#shared/protocol/point-hooks.ts";

const Started = z.strictObject({
  pointId: PointId,
  names: z.array(HookName).min(1).max(MOST_HOOKS),
  /** The script that was started last: see `processIdentity`. */
  process: z.string().max(200).optional(),
});

/** The hooks whose `before` was started, in that order, and whose `after` has not run yet. */
export type StartedHooks = z.infer<typeof Started>;

/** The agent's note of them, on its disk. */
export class PendingHooks {
  readonly #path: string;

  constructor(dataDir: string) {
    this.#path = join(dataDir, "pending-hooks.json");
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
