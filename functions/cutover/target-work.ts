import type { CommandRecord } from "#shared/domain/command.ts";
import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import { secondsBetween } from "#shared/seconds-between.ts";
import type { Store } from "../store/store.ts";

/** A command that has taken this may take much more. Shorter ones are as those that were measured. */
const LONG_SECONDS = 60;

/**
 * What the cutover's target host works on for others, and has for a while. Its agent carries out one command
 * after the other, so the outage would wait for that.
 */
export async function longWorkOfOthers(
  { id, targetId, runs }: CutoverRecord,
  { commands }: Pick<Store, "commands">,
  now: string,
): Promise<CommandRecord | undefined> {
  const own = new Set([id, ...runs.map((run) => run.id)]);
  return (await commands.pending(targetId)).find(
    ({ ownerId, state, issuedAt, startedAt = issuedAt }) =>
      state === "running" && !own.has(ownerId) && secondsBetween(startedAt, now) >= LONG_SECONDS,
  );
}
