import { isOpen } from "#shared/domain/command.ts";
import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import type { Cutover } from "#shared/protocol/cutover.ts";
import type { Store } from "../store/store.ts";

type Copying = NonNullable<Cutover["copying"]>;

/** The commands of a protection run that report how far they are. */
const PARTS: Partial<Record<CommandKind, Copying["part"]>> = {
  "take-recovery-point": "capture",
  "apply-to-standby": "apply",
};

/** What the run of the cutover's state does now; `undefined` while its agents report no progress. */
export async function copyingOf(
  { runs, state }: CutoverRecord,
  store: Pick<Store, "runs">,
): Promise<Copying | undefined> {
  const run = runs.at(-1);
  // It is noted before it is stored.
  if (run?.phase !== state || !(await store.runs.find(run.id))) return undefined;
  const { commands } = await store.runs.withCommands(run.id);
  for (const command of commands) {
    const part = PARTS[command.kind];
    if (part && command.progress && isOpen(command)) return { part, progress: command.progress };
  }
  return undefined;
}
