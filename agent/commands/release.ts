import { rm } from "node:fs/promises";
import type { Executor } from "./executor.ts";

/** Removes a folder that holds all that a conversion has taken on this machine and that is of no more use. */
export function releaseExecutor(folderOf: (conversionId: string) => string): Executor<"release"> {
  return async ({ conversionId }) => {
    await rm(folderOf(conversionId), { recursive: true, force: true });
    return {};
  };
}
