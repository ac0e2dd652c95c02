import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { lockFolder } from "#shared/data-folder/lock.ts";
import { FolderInUseError } from "#shared/errors.ts";

const PAUSE_MS = 100;

/**
 * Takes the fence of this data folder for one call: the agent and a person at the console may change it at
 * the same time. Waits until the other one is ready, which is as long as systemd takes. The lock ends with
 * the process.
 */
export async function lockFence(dataDir: string, now: () => Date): Promise<Disposable> {
  for (;;) {
    try {
      return lockFolder(join(dataDir, "fence.lock"), "causeway", now);
    } catch (error) {
      if (!(error instanceof FolderInUseError)) throw error;
    }
    await setTimeout(PAUSE_MS);
  }
}
