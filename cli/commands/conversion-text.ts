import { remarksOn } from "#shared/protocol/copied-disk.ts";
import { whereaboutsInWords } from "#shared/protocol/machine.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { bytes, duration } from "#shared/units.ts";
import { oneLine } from "../terminal.ts";
import { progressLine } from "./conversion-progress.ts";
import { describeDisk } from "./disk-text.ts";

/** A conversion as text for people. */
export function describeConversion(conversion: Conversion): string {
  const lines = [
    `${conversion.id}  ${conversion.type}  ${conversion.state}`,
    `  source ${conversion.sourceId}, target ${conversion.targetId}, started ${conversion.createdAt} by ${conversion.requestedBy}`,
    ...conversion.steps.map((step) => `  ${step.name.padEnd(18)}${step.state}`),
  ];
  const { accept, whereabouts } = conversion;
  if (accept.length > 0) lines.push(`  ${conversion.requestedBy} accepted: ${accept.join(", ")}`);
  if (whereabouts) lines.push(`  the source is ${whereaboutsInWords(whereabouts)}`);
  const now = progressLine(conversion);
  if (now) lines.push(`  ${now}`);
  const { failure, result } = conversion;
  if (failure) lines.push(`  ${failure.name}: ${failure.message}`, `  ${failure.hint}`);
  if (result) {
    lines.push(
      `  read ${bytes(result.bytesRead)}, stored ${bytes(result.bytesStored)} in ${duration(result.captureSeconds)}, limited by ${result.limitingStage}`,
      ...result.disks.map((disk) => `  ${describeDisk(disk)}`),
    );
    lines.push(...result.copies.flatMap(remarksOn).map((remark) => `  ${remark}`));
    if (result.bootDisk !== undefined) lines.push(`  ${result.bootDisk} boots`);
    if (result.badRanges > 0)
      lines.push(`  ${result.badRanges} areas of the source could not be read; the clone has zeros there`);
    if (result.bootCheck) lines.push(`  boot check: ${result.bootCheck.verdict}, ${result.bootCheck.reason}`);
  }
  return lines.map(oneLine).join("\n");
}
