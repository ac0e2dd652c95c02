/** The adaptation of a cutover's machine, as it was computed before the window. */
import { failureOf, StepTimedOutError } from "../../errors.ts";
import { commandKinds } from "../../protocol/commands.ts";
import type { Cutover } from "../../protocol/cutover.ts";
import { type CommandRecord, isOpen, latest } from "../command.ts";
import type { CutoverRecord } from "./cutover.ts";

/** `undefined` if it has not begun, or none was asked for. `commands`: of the cutover. */
export function rehearsalOf(
  { adaptation }: Pick<CutoverRecord, "adaptation">,
  commands: readonly CommandRecord[],
): Cutover["rehearsal"] {
  if (!adaptation) return undefined;
  const ofRehearsal = commands.filter(({ label }) => label === "rehearsal");
  const last = (kind: CommandRecord["kind"]) => latest(ofRehearsal.filter((one) => one.kind === kind));
  const command = last("adapt-machine") ?? last("clone-standby");
  if (!command) return undefined;
  if (command.failure) return { state: "failed", failure: command.failure };
  const done = commandKinds["adapt-machine"].output.safeParse(command.output).data;
  if (done) return { state: "done", changes: done.changes.length };
  // The workflow removes the clone once it no longer waits for this; a copy that differs is not adapted.
  if (last("release")?.state === "succeeded") {
    if (command.state === "succeeded") return undefined;
    return { state: "failed", failure: failureOf(new StepTimedOutError()) };
  }
  // The workflow has not asked for the next command yet, or the agent has not answered.
  return isOpen(command) || command.state === "succeeded" ? { state: "running" } : undefined;
}
