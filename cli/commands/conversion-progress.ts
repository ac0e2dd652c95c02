import type { Conversion } from "#shared/protocol/resources.ts";
import { bytes, duration } from "../units.ts";

/** What a running conversion does at this moment, in one line; nothing once it has ended. */
export function progressLine(conversion: Conversion): string | undefined {
  if (conversion.state === "cancelling") return "cancelling";
  const step = conversion.steps.find((candidate) => candidate.state === "running");
  if (!step) return undefined;
  const work = step.work.find((item) => item.state === "running" || item.state === "pending");
  const parts: string[] = [step.name];
  if (work?.disk) parts.push(work.disk);
  const progress = work?.progress;
  if (progress && progress.bytesTotal > 0) {
    const share = Math.min(1, progress.bytesDone / progress.bytesTotal);
    parts.push(
      bar(share),
      `${bytes(progress.bytesDone)} of ${bytes(progress.bytesTotal)}`,
      `${bytes(progress.rateBytesPerSecond)}/s`,
    );
    if (progress.remainingSeconds !== undefined) parts.push(`${duration(progress.remainingSeconds)} left`);
    if (progress.bottleneck && progress.bottleneck !== "unknown")
      parts.push(`limited by ${progress.bottleneck}`);
  }
  if (progress?.note) parts.push(progress.note);
  return parts.join("  ");
}

/** `[######----]  60 %`. */
export function bar(share: number, width = 20): string {
  const filled = Math.round(share * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}
