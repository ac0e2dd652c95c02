import { released } from "#shared/domain/agent.ts";
import { isOpen } from "#shared/domain/command.ts";
import { failedRun, type RunRecord, runHasEnded, stoppingRun } from "#shared/domain/protection/run.ts";
import { type WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { failureOf, RunStoppedError } from "#shared/errors.ts";
import { cancelCommands } from "../conversion/cancel-commands.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import type { ProtectionDeps } from "./deps.ts";
import { reportRun } from "./report-run.ts";

/**
 * Ends a run that cannot continue as failed, and frees its source. Its recovery point, if it is complete,
 * stays. The end is written last, so after an interruption the next try does all parts again.
 */
export async function abandonRun(runId: string, error: WorkflowError, deps: CommandDeps): Promise<RunRecord> {
  const { runs, agents, audit } = deps.store;
  const { record: run, commands } = await runs.withCommands(runId);
  await cancelCommands(commands.filter(isOpen), deps);
  await agents.modify(run.sourceId, (source) => released(source, runId));
  const failure = workflowFailure(error);
  const ended = await runs.modify(runId, (current) => failedRun(current, failure, timestamp(deps.clock)));
  if (ended.state === "failed" && ended.endedAt) {
    const details = { planId: run.planId, failure: ended.failure?.name, message: ended.failure?.message };
    const entry = {
      actor: "causeway",
      action: "run-failed",
      subject: runId,
      outcome: "done",
      details,
    } as const;
    await audit.addOnce({ at: ended.endedAt, ...entry });
    if (!runHasEnded(run)) {
      const plan = await deps.store.plans.get(run.planId);
      reportRun(ended, plan, { log: deps.log, nowMs: deps.clock.now() });
    }
  }
  return ended;
}

/** Ends the work of a run whose plan was deleted. Repeating it is harmless. */
export async function stopRun(runId: string, deps: ProtectionDeps): Promise<void> {
  // Mark the run, then read its commands. Dispatch writes the command, then reads the mark. So one of the two
  // sees the other.
  const run = await deps.store.runs.modify(runId, stoppingRun);
  if (runHasEnded(run)) return;
  const { commands } = await deps.store.runs.withCommands(runId);
  await cancelCommands(commands.filter(isOpen), deps);
  // The workflow sees the mark and ends the run, unless there is none.
  if (await deps.workflow.isRunning(runId)) return;
  const cause = JSON.stringify(failureOf(new RunStoppedError(runId)));
  await abandonRun(runId, { Error: "RunStoppedError", Cause: cause }, deps);
}
