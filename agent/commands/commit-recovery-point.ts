import { UnknownCommandError } from "#shared/errors.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import { type CaptureDeps, CaptureHandover, commitCaptures, forgetCaptures } from "./captures.ts";
import type { Executor } from "./executor.ts";

type CommitDeps = Pick<CaptureDeps, "repository" | "dataDir" | "agentVersion" | "now">;

/**
 * Makes captured disks visible as one recovery point. A repeated command finds the point that the first one
 * made.
 */
export function commitRecoveryPointExecutor(deps: CommitDeps): Executor<"commit-recovery-point"> {
  return async ({ conversionId, pointId, disks }) => {
    const captures = disks.map(handoverOf);
    await commitCaptures(deps, await deps.repository(), { pointId, captures });
    await forgetCaptures(deps.dataDir, conversionId);
    return { pointId };
  };
}

/** What the capture of this disk handed over, as the workflow passed it on. */
function handoverOf({ name, sizeBytes, mapRoot }: CommandInput<"commit-recovery-point">["disks"][number]) {
  const handover = CaptureHandover.safeParse(parsed(mapRoot));
  const disk = handover.data?.disk;
  if (!handover.success || disk?.name !== name || disk.sizeBytes !== sizeBytes)
    throw new UnknownCommandError(`the result of capturing ${name} is not valid`);
  return handover.data;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
