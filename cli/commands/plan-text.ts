/** Protection plans and runs as text for people. */
import { shortfallOf } from "#shared/domain/hook-shortfall.ts";
import { adviceFor } from "#shared/domain/protection/advice.ts";
import { formatRetention } from "#shared/domain/protection/retention.ts";
import { remarksOn } from "#shared/protocol/copied-disk.ts";
import type { PointHooks } from "#shared/protocol/point-hooks.ts";
import type { Plan, Run } from "#shared/protocol/protection.ts";
import type { WeeklyHours } from "#shared/protocol/weekly-hours.ts";
import { bytes, duration } from "#shared/units.ts";
import { oneLine } from "../terminal.ts";

/** When its runs are due: `every 15 min 00 s`, `cron 30 2 * * *`. */
export function timesText({
  intervalSeconds,
  cron,
  timeZone,
}: Pick<Plan, "intervalSeconds" | "cron" | "timeZone">): string {
  return intervalSeconds === null ? `cron ${cron} ${timeZone}` : `every ${duration(intervalSeconds)}`;
}

/** How old what the newest recovery point holds is, and whether that is too old. */
export function lagText({ lagSeconds, lag }: Plan): string {
  return `${lagSeconds === null ? "no point" : duration(lagSeconds)}, ${lag}`;
}

export function describePlan(plan: Plan): string {
  const { blackout, disks, retention, lastRun } = plan;
  const lines = [
    `${plan.id}  ${plan.state}`,
    `  source ${plan.sourceId}, ${disks ? `disks ${disks.join(", ")}` : "all disks"}, created ${plan.createdAt} by ${plan.requestedBy}`,
    `  ${timesText(plan)}${plan.startAt ? `, from ${plan.startAt}` : ""}`,
    `  keeps ${formatRetention(retention)}`,
    `  behind: ${lagText(plan)}${plan.lateAt ? ` (late if there is no new point by ${plan.lateAt})` : ""}`,
    `  next run: ${plan.nextRunAt ?? "none"}`,
  ];
  lines.push(...conditionText(plan).map((line) => `  ${line}`));
  if (plan.accept.length > 0) lines.splice(2, 0, `  accepted: ${plan.accept.join(", ")}`);
  if (blackout.length > 0) {
    const hours = blackout.map(hoursText).join("; ");
    lines.splice(3, 0, `  starts no run, and promises no point, ${hours} ${plan.timeZone}`);
  }
  if (plan.standbyTargetId !== null)
    lines.push(`  standby on ${plan.standbyTargetId}: ${plan.standbyPointId ?? "equals no point yet"}`);
  lines.push(...bandwidthText(plan));
  if (plan.drills) {
    const { cron, targetId, adapt, proveSeconds } = plan.drills;
    const how = [adapt ? ["adapted"] : [], proveSeconds === undefined ? [] : ["proved"]].flat();
    const where = `${[...how, "drills"].join(" ")} on ${targetId}`;
    const last = plan.lastDrillId === null ? "none yet" : plan.lastDrillId;
    const next = plan.nextDrillAt ?? "none";
    lines.push(`  ${where}: cron ${cron} ${plan.timeZone}, next ${next}, last ${last}`);
  }
  if (lastRun) lines.push("  last run:", ...describeRun(lastRun).map((line) => `    ${line}`));
  return lines.map(oneLine).join("\n");
}

/** How its runs fare. What its last run says itself is left out. */
function conditionText({ condition, lastRun }: Plan): string[] {
  const { dirtyRate, backlog, limit, disks } = condition;
  const lines: string[] = [];
  const rates = dirtyRate.flatMap(({ bytesPerSecond }) => bytesPerSecond ?? []);
  if (rates.length > 0)
    lines.push(
      `changed per hour of the last day: ${dirtyRate.map(rateSign(Math.max(...rates))).join("")}, at most ${bytes(Math.max(...rates))}/s`,
    );
  if (backlog.runs !== null) {
    const amount = backlog.bytes === null ? "an unknown amount" : `about ${bytes(backlog.bytes)}`;
    lines.push(`backlog: ${backlog.runs} runs due since the newest point, ${amount} changed`);
  }
  if (lastRun?.result) return lines;
  if (limit) lines.push(`limited by ${limit.stage}, ${duration(limit.seconds)}: ${limit.action}`);
  return [...lines, ...disks.flatMap((disk) => [modeText(disk), ...trackerTexts(disk)])];
}

/** A hour of which nothing is known is a dot. */
const rateSign =
  (most: number) =>
  ({ bytesPerSecond }: Plan["condition"]["dirtyRate"][number]): string =>
    bytesPerSecond === null ? "." : ("▁▂▃▄▅▆▇█"[Math.floor((7 * bytesPerSecond) / Math.max(1, most))] ?? "█");

export function describeRun(run: Run): string[] {
  const lines = [`${run.id}  ${run.state}, due ${run.dueAt}, began ${run.startedAt}`];
  const { reason, failure, result } = run;
  if (reason !== undefined) lines.push(`skipped: ${reason}`);
  if (failure) lines.push(`${failure.name}: ${failure.message}`, failure.hint);
  if (result) {
    lines.push(
      `point ${run.pointId}, ${result.consistency} consistent: read ${bytes(result.bytesRead)}, changed ${bytes(result.changedBytes)}, stored ${bytes(result.bytesStored)} in ${duration(result.seconds)}, limited by ${result.limitingStage}`,
      `to make runs faster: ${adviceFor(result.limitingStage)}`,
      ...result.disks.map(modeText),
      ...result.disks.flatMap(viewTexts),
      ...result.disks.flatMap(trackerTexts),
      ...result.disks.flatMap(remarksOn),
      ...hookTexts(result.hooks),
    );
    if (result.freezeMilliseconds)
      lines.push(
        `programs of the source waited at most ${Math.round(result.freezeMilliseconds)} ms for their writes`,
      );
    if (result.standby) lines.push(...standbyText(result.standby));
    if (result.badRanges > 0) lines.push(`${result.badRanges} areas of the source could not be read`);
  }
  return lines;
}

type DiskOfRun = NonNullable<Run["result"]>["disks"][number];

function modeText({ name, mode, modeReason, consistency }: DiskOfRun): string {
  return mode === "tracked"
    ? `${name}: ${consistency} consistent, tracked`
    : `${name}: ${consistency} consistent, hash scan, because ${modeReason ?? "it was not tracked"}`;
}

/** In use, a disk can be read in several ways. */
function viewTexts({ name, view, viewReason }: DiskOfRun): string[] {
  return view === undefined || view === "still" ? [] : [`${name}: read by ${view}: ${viewReason ?? ""}`];
}

function trackerTexts({ name, trackerDisagreements }: DiskOfRun): string[] {
  if (trackerDisagreements === 0) return [];
  return [
    `${name}: THE TRACKER WAS WRONG: ${trackerDisagreements} sampled blocks had changed, and it had not noticed; the next run scans the disk (\`causeway alarms\`)`,
  ];
}

/** Each script, and why the point is not application consistent; empty if the source has no hooks. */
function hookTexts(hooks: PointHooks | undefined): string[] {
  if (!hooks || (hooks.scripts.length === 0 && hooks.refused === undefined)) return [];
  const shortfall = shortfallOf(hooks);
  const scripts = hooks.scripts.map(
    ({ hook, phase, outcome, seconds }) => `hook ${hook}, ${phase}: ${outcome} in ${duration(seconds)}`,
  );
  return [...scripts, ...(shortfall === undefined ? [] : [`not application consistent: ${shortfall}`])];
}

function bandwidthText({ bandwidthHours, timeZone, ...plan }: Plan): string[] {
  const { bandwidthLimitBytesPerSecond: limit, bandwidthNowBytesPerSecond: current } = plan;
  if (bandwidthHours.length === 0) return limit === null ? [] : [`  uploads at most ${bytes(limit)}/s`];
  const rate = (value: number | null): string => (value === null ? "unlimited" : `${bytes(value)}/s`);
  const hours = bandwidthHours.map((window) => `${rate(window.bytesPerSecond)} ${hoursText(window)}`);
  return [
    `  uploads at most ${hours.join("; ")} ${timeZone}; otherwise ${rate(limit)}; now ${rate(current)}`,
  ];
}

function hoursText({ from, to, days }: WeeklyHours): string {
  return `${from} to ${to}${days ? ` on ${days.join(", ")}` : ""}`;
}

function standbyText(standby: NonNullable<NonNullable<Run["result"]>["standby"]>): string[] {
  if (standby.state === "behind") {
    const { name, message, hint } = standby.failure;
    return [`standby is behind: ${name}: ${message}`, hint];
  }
  const { bytesWritten, leavesRepaired, seconds } = standby;
  const repaired = `standby: ANOTHER PROGRAM HAD CHANGED IT; repaired ${leavesRepaired} parts of 16 MiB`;
  return [
    `standby: wrote ${bytes(bytesWritten)} in ${duration(seconds)}`,
    ...(leavesRepaired > 0 ? [repaired] : []),
  ];
}
