import { TrackingUnavailableError } from "#shared/errors.ts";
import { findTrackerProgram, pinFolderOf, TrackerHelper } from "./helper.ts";

/**
 * Thaws the file systems that the agent with this folder left frozen, if it was killed together with all its
 * helpers. To be called before anything is written: that would wait for ever. Returns what was found, a line
 * for each.
 */
export async function thawLeftFrozen(
  dataDir: string,
  program: string | undefined = findTrackerProgram(),
): Promise<string[]> {
  if (program === undefined) return [];
  const tracker = new TrackerHelper(program, { pinFolder: pinFolderOf(dataDir) });
  try {
    const thawed = await tracker.thaw();
    return thawed.map(({ path, error }) =>
      error === ""
        ? `${path} was still frozen for a recovery point that was interrupted, and is thawed now`
        : `${path} may still be frozen for a recovery point that was interrupted: ${error}`,
    );
  } catch (error) {
    // What may not track has frozen nothing.
    if (error instanceof TrackingUnavailableError) return [];
    return [`whether a file system is still frozen is not known: ${String(error)}`];
  }
}
