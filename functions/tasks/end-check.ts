import * as z from "zod";
import { isOpen } from "#shared/domain/command.ts";
import {
  type CheckRecord,
  completedCheck,
  damageAlarm,
  failedCheck,
  foundDamage,
  verdictsOf,
} from "#shared/domain/repository-check.ts";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { CheckId } from "#shared/protocol/ids.ts";
import { RepositoryChecked } from "#shared/protocol/repository-check.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { clearAlarm, type ReportDeps, raiseAlarm } from "../alarm/raise.ts";
import { buildCommanding } from "../conversion/build.ts";
import { cancelCommands } from "../conversion/cancel-commands.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";

export const Input = z.object({
  checkId: CheckId,
  /** What the target host found. */
  found: RepositoryChecked.optional(),
  /** The workflow's error, once it has given the check up. */
  error: WorkflowError.optional(),
});

export const handler = taskHandler({
  name: "tasks/end-check",
  input: Input,
  build: (environment, runtime): Deps => ({
    ...buildCommanding(environment, runtime),
    ...buildAlarmChannels(environment),
    random: runtime.random,
  }),
  run,
});

type Deps = CommandDeps & ReportDeps;

/**
 * Ends a check: with what was found, which is noted with each point and raises or clears the source's alarm,
 * or as failed. Repeating it changes nothing. One that has completed, and whose workflow gives it up because
 * the rest could not be done, is only finished.
 */
export async function run(
  { checkId, found, error = { Error: "States.TaskFailed", Cause: "" } }: z.output<typeof Input>,
  deps: Deps,
): Promise<{ state: CheckRecord["state"] }> {
  const now = timestamp(deps.clock);
  if (!found) return giveUp(checkId, error, deps);
  // A client that sees the check completed may recover the newest sound point at once.
  await notePoints(completedCheck(await deps.store.checks.get(checkId), found, now), deps);
  const check = await deps.store.checks.modify(checkId, (one) => completedCheck(one, found, now));
  return finish(check, deps);
}

/** Also if the alarm cannot be sent, the check has ended. */
async function finish(check: CheckRecord, deps: Deps): Promise<{ state: CheckRecord["state"] }> {
  if (check.state === "completed") await settleDamage(check, deps);
  await audit(check, deps);
  return { state: check.state };
}

async function giveUp(
  checkId: string,
  error: WorkflowError,
  deps: Deps,
): Promise<{ state: CheckRecord["state"] }> {
  const { commands } = await deps.store.checks.withCommands(checkId);
  await cancelCommands(commands.filter(isOpen), deps);
  const failure = workflowFailure(error);
  const check = await deps.store.checks.modify(checkId, (one) =>
    failedCheck(one, failure, timestamp(deps.clock)),
  );
  return finish(check, deps);
}

/** What was sound when the check began can have been damaged before it ended: then that was found later. */
async function notePoints(check: CheckRecord, { store, clock }: Deps): Promise<void> {
  const { id: checkId, whole, createdAt, endedAt = timestamp(clock) } = check;
  const method = whole ? "whole" : "sample";
  for (const { pointId, verdict } of verdictsOf(check)) {
    if (verdict === "gone") continue;
    const at = verdict === "sound" ? createdAt : endedAt;
    await store.points.noteCheck(pointId, { checkId, verdict, method, at });
  }
}

/** Only a whole check that found nothing says that the damage is gone, if that was known when it began. */
async function settleDamage(check: CheckRecord, deps: Deps): Promise<void> {
  const { sourceId, whole, createdAt, endedAt = timestamp(deps.clock) } = check;
  const key = { kind: "repository-damaged", subject: sourceId } as const;
  if (foundDamage(check))
    return void (await raiseAlarm(damageAlarm(check, await deps.store.agents.get(sourceId), endedAt), deps));
  const alarm = whole ? await deps.store.alarms.find(key) : undefined;
  if (alarm && alarm.reportedAt <= createdAt) await clearAlarm(key, deps);
}

async function audit(check: CheckRecord, { store, clock }: Deps): Promise<void> {
  const { id, sourceId, targetId, whole, result, failure, endedAt = timestamp(clock) } = check;
  const verdicts = verdictsOf(check);
  await store.audit.addOnce({
    at: endedAt,
    actor: "causeway",
    action: failure ? "repository-check-failed" : "repository-checked",
    subject: id,
    outcome: "done",
    details: {
      ...{ sourceId, targetId, whole },
      ...(failure
        ? { failure: failure.name, message: failure.message }
        : {
            points: verdicts.length,
            damaged: verdicts.filter(({ verdict }) => verdict === "damaged").length,
            problems: result?.problems.slice(0, 3) ?? [],
            bytesRead: result?.bytesRead ?? 0,
          }),
    },
  });
}
