/** For tests: the runs of a protection plan, and what is in their recovery points. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ApiClient } from "#shared/protocol/client.ts";
import type { Run } from "#shared/protocol/protection.ts";
import { firstDifference } from "../site/compare.ts";
import type { Site } from "./site.ts";
import { until } from "./until.ts";

const RUN_LIMIT_SECONDS = 120;
/** Requests that follow each other closely would keep the control plane from the run. */
const LOOK_EVERY_MS = 250;

/** The plan's last run, once it has completed and is a wanted one. */
export function completedRun(
  api: ApiClient,
  planId: string,
  isWanted: (run: Run) => boolean = () => true,
): Promise<Run> {
  const find = async () => {
    const { lastRun } = await api.getPlan({ parameters: { id: planId } });
    return lastRun?.state === "completed" && isWanted(lastRun) ? lastRun : undefined;
  };
  return until("the run to complete", find, RUN_LIMIT_SECONDS, LOOK_EVERY_MS);
}

/** The first byte of the disk `vda`, as the run's point restores it, that differs from a copy of it. */
export async function differenceOfRun(
  { installation, dir }: Site,
  { id, pointId = "" }: Run,
  copy: string,
): Promise<number | undefined> {
  const restored = join(dir, `${id}.restored`);
  await installation.json(["restore", pointId, "--disk", "vda", "--to", restored]);
  try {
    return await firstDifference(copy, restored);
  } finally {
    await rm(restored);
  }
}
