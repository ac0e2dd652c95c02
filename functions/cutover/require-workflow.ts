import {
  type CutoverRecord,
  cutoverHasEnded,
  cutoverInput,
  isBefore,
} from "#shared/domain/cutover/cutover.ts";
import type { CutoverDeps } from "./deps.ts";

/**
 * Only the workflow begins a cutover, and undoes what was done. If it was stopped from outside, or never
 * started, another execution continues: it waits again, or only undoes. Its name has the next number, so two
 * events at once start one, and the newest number is in the record. Repeating it starts no second one.
 */
export async function requireWorkflow(cutover: CutoverRecord, deps: CutoverDeps): Promise<void> {
  const { store, cutovers } = deps;
  const { id } = cutover;
  if (cutoverHasEnded(cutover) || (await workflowRuns(cutover, deps))) return;
  const input = { ...cutoverInput(cutover), ...(isBefore(cutover) ? {} : { undo: true }) };
  let number = cutover.executions + 1;
  // One that exists was started after the record was read, or is not in it because of an interruption.
  while ((await cutovers.start(executionName(id, number), input)) === "exists") {
    if (await cutovers.isRunning(executionName(id, number))) break;
    number++;
  }
  await store.cutovers.modify(id, (one) => (one.executions < number ? { ...one, executions: number } : one));
}

/**
 * Whether the newest execution of the cutover's workflow runs. After an interruption, that is the one after
 * the number in the record.
 */
export async function workflowRuns(
  { id, executions }: CutoverRecord,
  { cutovers }: CutoverDeps,
): Promise<boolean> {
  for (const number of [executions, executions + 1])
    if (await cutovers.isRunning(executionName(id, number))) return true;
  return false;
}

function executionName(id: string, number: number): string {
  return number === 1 ? id : `${id}.${number}`;
}
