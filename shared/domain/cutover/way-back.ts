/** What people read about a failure that leads a cutover back to its source. */
import type { Failure } from "../../errors.ts";
import type { CutoverState } from "../../protocol/cutover.ts";

const AGAIN = "then create another cutover; the standby is kept.";

/**
 * The failures' own hints are for a fence that stays, a machine that stays, or a conversion. After a rollback
 * the source serves, and the machine is removed.
 */
const HINTS: Readonly<Record<string, string>> = {
  FenceIncompleteError: `The source gets its services back: stop none of them. See why they could not be stopped and kept down, ${AGAIN}`,
  MachineSilentError: `The machine is removed. \`causeway recover SOURCE --test-network --adapt\` makes another one to look at. See what it lacks, or give it more time (--answer-timeout), ${AGAIN}`,
  StepTimedOutError: `\`causeway cutover show\` has the time of each state. See what takes its time, or give services more to stop (--quiesce-timeout), ${AGAIN}`,
  AgentSilentError: `Check that the agent is running and reaches the control plane, ${AGAIN}`,
  CommandOutOfTimeError: `Correct the machine's clock, check in the agent's log that the agent reaches the cloud, ${AGAIN}`,
  WorkflowInterruptedError: `Find out who stopped it: its history in Step Functions shows how far it was, ${AGAIN}`,
};

/** `cutover`: as it was when that happened. */
export function failureOfWayBack(
  failure: Failure,
  cutover: { state: CutoverState; restart?: unknown; quiesceTimeoutSeconds: number },
): Failure {
  const { state, restart, quiesceTimeoutSeconds } = cutover;
  // A source that is restarted has other steps in this state.
  const isNotQuiet = failure.name === "StepTimedOutError" && state === "quiescing" && restart === undefined;
  const message = isNotQuiet
    ? `the source's agent did not say within ${quiesceTimeoutSeconds} s that its services are stopped`
    : failure.message;
  return { ...failure, message, hint: HINTS[failure.name] ?? failure.hint };
}
