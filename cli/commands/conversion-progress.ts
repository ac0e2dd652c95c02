import { whereIs } from "#shared/protocol/machine.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { bytes, duration } from "#shared/units.ts";

type Work = Conversion["steps"][number]["work"][number];

/** What a running conversion is doing now, in one line; `undefined` if it has ended. */
export function progressLine(conversion: Conversion): string | undefined {
  if (conversion.state === "cancelling") return "cancelling";
  const step = conversion.steps.find((candidate) => candidate.state === "running");
  if (!step) return waitingLine(conversion);
  const work = step.work.find((item) => item.state === "running" || item.state === "pending");
  const { whereabouts } = conversion;
  if (work?.awaySince && (!whereabouts || whereabouts.location === "original"))
    return awayLine(step.name, { ...work, awaySince: work.awaySince }, conversion);
  const parts: string[] = [step.name];
  if (work?.disk) parts.push(work.disk);
  const progress = work?.progress;
  if (progress && progress.bytesTotal > 0) parts.push(...transferLine(progress));
  if (progress?.note) parts.push(progress.note);
  if (work?.state === "pending" && whereabouts && whereabouts.location !== "original")
    parts.push(`machine ${whereIs(whereabouts)}`);
  return parts.join("  ");
}

/** That nothing moves, and since when, comes first: a log prints a line whose first words changed. */
function awayLine(
  step: string,
  { agentId, awaySince, disk, progress }: Work & { awaySince: string },
  { sourceId }: Conversion,
): string {
  const role = agentId === sourceId ? "source" : "target";
  return [
    `${step}, ${role} away since ${awaySince}`,
    ...(disk ? [disk] : []),
    ...(progress && progress.bytesTotal > 0 ? [amount(progress)] : []),
    `it continues when the agent of ${agentId} is back`,
  ].join("  ");
}

/** Between two steps there is nothing to show, except for a machine that waits until its start time. */
function waitingLine({ state, steps, startAt }: Conversion): string | undefined {
  const armed = steps.some(({ name, state: of }) => name === "arm" && of !== "waiting");
  return state === "running" && startAt && !armed ? `waiting  for ${startAt}` : undefined;
}

/** The parts of a progress line about bytes: a bar, amount, rate, time left, bottleneck. */
export function transferLine(progress: {
  bytesDone: number;
  bytesTotal: number;
  rateBytesPerSecond: number;
  remainingSeconds?: number | undefined;
  bottleneck?: string | undefined;
}): string[] {
  const { bytesDone, bytesTotal, rateBytesPerSecond, remainingSeconds, bottleneck } = progress;
  const share = bytesTotal > 0 ? Math.min(1, bytesDone / bytesTotal) : 0;
  const parts = [bar(share), amount(progress), `${bytes(rateBytesPerSecond)}/s`];
  if (remainingSeconds !== undefined) parts.push(`${duration(remainingSeconds)} left`);
  if (bottleneck) parts.push(`limited by ${bottleneck}`);
  return parts;
}

function amount({ bytesDone, bytesTotal }: { bytesDone: number; bytesTotal: number }): string {
  return `${bytes(bytesDone)} of ${bytes(bytesTotal)}`;
}

/** `[######----]  60 %`. */
export function bar(share: number, width = 20): string {
  const filled = Math.round(share * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}
