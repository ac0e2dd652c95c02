/** What was tried of a cutover's machine on a clone, before the window. */
import { failureOf, StepTimedOutError } from "../../errors.ts";
import { commandKinds } from "../../protocol/commands.ts";
import type { Cutover } from "../../protocol/cutover.ts";
import { type CommandRecord, isOpen, latest } from "../command.ts";
import type { CutoverRecord } from "./cutover.ts";

/**
 * Its first failure, if anything failed. `undefined` if it has not begun, or if a clone was made for a proof
 * alone and could not be: that is in the proof. `commands`: of the cutover.
 */
export function rehearsalOf(
  { adaptation }: Pick<CutoverRecord, "adaptation">,
  commands: readonly CommandRecord[],
): Cutover["rehearsal"] {
  const ofRehearsal = commands.filter(({ label }) => label === "rehearsal");
  const last = (kind: CommandRecord["kind"]) => latest(ofRehearsal.filter((one) => one.kind === kind));
  const defined = last("define-machine");
  const begun = [last("clone-standby"), defined, last("adapt-machine")].filter((one) => one !== undefined);
  const newest = begun.at(-1);
  if (!newest || (!adaptation && !defined)) return undefined;
  const failure = begun.find((one) => one.failure)?.failure;
  if (failure) return { state: "failed", failure };
  const said = defined?.state === "succeeded" ? { isDefinable: true as const } : {};
  const adapted = commandKinds["adapt-machine"].output.safeParse(newest.output).data;
  if (adapted) return { state: "done", ...said, changes: adapted.changes.length };
  if (!adaptation && newest.state === "succeeded") return { state: "done", ...said };
  // The workflow removes the clone once it no longer waits for this; a copy that differs is not adapted.
  if (last("release")?.state === "succeeded") {
    if (newest.state === "succeeded") return undefined;
    return { state: "failed", failure: failureOf(new StepTimedOutError()) };
  }
  // The workflow has not asked for the next command yet, or the agent has not answered.
  return isOpen(newest) || newest.state === "succeeded" ? { state: "running" } : undefined;
}
