import { shortfallOf } from "#shared/domain/hook-shortfall.ts";
import { adviceFor } from "#shared/domain/protection/advice.ts";
import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import type { RunRecord } from "#shared/domain/protection/run.ts";
import type { Log } from "#shared/log.ts";

/** The namespace of Causeway's metrics in CloudWatch. */
const METRIC_NAMESPACE = "Causeway";

/**
 * Logs that a run has ended, in one line. CloudWatch makes a metric of it: `lagSeconds` by `planId`, the age
 * of what the plan's newest earlier point holds, which is what a loss of the source would have cost just
 * before. Without an earlier point there is no lag, and no metric. `before`: the plan before this run's
 * point.
 */
export function reportRun(run: RunRecord, before: PlanRecord, deps: { log: Log; nowMs: number }): void {
  const { log, nowMs } = deps;
  const { id: runId, planId, sourceId, state, reason, failure, result, endedAt, startedAt, dueAt } = run;
  const { intervalSeconds, lastPoint } = before;
  const lagSeconds = lastPoint && Math.max(0, Math.round((nowMs - Date.parse(lastPoint.heldAt)) / 1000));
  log.info("run ended", {
    ...{ planId, sourceId, runId, state, dueAt, startedAt, endedAt, intervalSeconds },
    nextRunAt: before.nextRunAt,
    reason,
    failure: failure?.name,
    ...(result ? workOf(result) : {}),
    ...(lagSeconds === undefined ? {} : { lagSeconds, _aws: metric(nowMs) }),
  });
}

function workOf(result: NonNullable<RunRecord["result"]>) {
  const { bytesRead, changedBytes, bytesStored, freezeMilliseconds, seconds, limitingStage } = result;
  return {
    ...{ bytesRead, changedBytes, bytesStored, freezeMilliseconds, seconds, limitingStage },
    bytesReadPerSecond: seconds > 0 ? Math.round(bytesRead / seconds) : undefined,
    action: adviceFor(limitingStage),
    standby: result.standby?.state,
    hookShortfall: result.hooks && shortfallOf(result.hooks),
    disks: result.disks.map(({ name, mode, consistency, trackerDisagreements }) => ({
      ...{ name, mode, consistency, trackerDisagreements },
    })),
  };
}

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
function metric(nowMs: number) {
  const Metrics = [{ Name: "lagSeconds", Unit: "Seconds" }];
  return {
    Timestamp: nowMs,
    CloudWatchMetrics: [{ Namespace: METRIC_NAMESPACE, Dimensions: [["planId"]], Metrics }],
  };
}
