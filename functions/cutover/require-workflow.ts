import {
  type CutoverRecord,
  cutoverHasEnded,
  cutoverInput,
  isBefore,
} from "#shared/domain/cutover/cutover.ts";
import type { CutoverDeps } from "./deps.ts";

/** An execution's name can be used once. */
const MOST_EXECUTIONS = 9;

/**
 * Only the workflow begins a cutover, and undoes what was done. If it was stopped from outside, or never
 * started, another execution continues: it waits again, or only undoes. Repeating it starts no second one.
 */
export async function requireWorkflow(cutover: CutoverRecord, { cutovers }: CutoverDeps): Promise<void> {
  const { id } = cutover;
  if (cutoverHasEnded(cutover) || (await cutovers.isRunning(id))) return;
  const input = { ...cutoverInput(cutover), ...(isBefore(cutover) ? {} : { undo: true }) };
  for (let execution = 2; execution <= MOST_EXECUTIONS; execution++)
    if ((await cutovers.start(`${id}.${execution}`, input)) === "started") return;
}
