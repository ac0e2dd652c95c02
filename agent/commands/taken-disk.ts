import { jsonBytes, MAX_MESSAGE_BYTES } from "#shared/protocol/message-size.ts";
import type { CaptureMode, TakenDisk, TakenPoint } from "#shared/protocol/taken-point.ts";
import type { ChosenDiskView } from "../consistency/open-view.ts";
import type { ParentDisk } from "../repository/newest-disks.ts";
import type { Captured } from "./captures.ts";

const REASON_LENGTH = 200;
/** What is left of a message for the disks and the hooks. */
const DISKS_BYTES = MAX_MESSAGE_BYTES - 8 * 1024;
/** How many whole copies of each disk are named: the first number with which the message is not too long. */
const WHOLE_COPIES = [16, 8, 4, 2, 1];

/** What is reported of a captured disk. */
export function takenDisk(
  view: ChosenDiskView,
  { disk, statistics }: Captured,
  parent: ParentDisk | undefined,
): TakenDisk {
  const missed = view.missedBlocks?.() ?? statistics.sample.differing.length;
  return {
    name: disk.name,
    sizeBytes: disk.sizeBytes,
    bytesRead: statistics.bytesRead + statistics.bytesResumed,
    bytesStored: statistics.bytesStored,
    changedBytes: statistics.changedBytes,
    ...modeOf(view, { statistics, parent, missed }),
    trackerDisagreements: missed,
    view: view.kind,
    viewReason: [view.reason, view.remark?.()].filter(Boolean).join("; ").slice(0, REASON_LENGTH),
    badRanges: disk.badRanges,
    consistency: disk.consistency,
    wholeCopies: disk.wholeCopies,
    seconds: statistics.elapsedMs / 1000,
    bottleneck: statistics.limitingStage,
  };
}

function modeOf(
  { source, changes }: ChosenDiskView,
  {
    statistics: { basis, sample },
    parent,
    missed,
  }: { statistics: Captured["statistics"]; parent: ParentDisk | undefined; missed: number },
): { mode: CaptureMode; modeReason?: string } {
  if (basis === "tracked" && missed === 0) return { mode: "tracked" };
  const reason = !parent
    ? "this is its first copy"
    : parent.disk.sizeBytes !== source.sizeBytes
      ? "its size has changed since the last recovery point"
      : missed > 0
        ? `${missed} of ${sample.blocks} sampled blocks had changed, and the tracker had not noticed`
        : "unknown" in changes
          ? changes.unknown
          : "an earlier attempt at this recovery point had begun to scan it";
  return { mode: "hash-scan", modeReason: reason.slice(0, REASON_LENGTH) };
}

/**
 * The disks, with only as many whole copies named as fit into a message beside `otherBytes`; the rest is
 * counted.
 */
export function fitDisks(disks: readonly TakenDisk[], otherBytes: number): TakenPoint["disks"] {
  const fitted = WHOLE_COPIES.map((most) => disks.map((disk) => withWholeCopies(disk, most)));
  return fitted.find((one) => jsonBytes(one) + otherBytes <= DISKS_BYTES) ?? fitted.at(-1) ?? [];
}

function withWholeCopies(disk: TakenDisk, most: number): TakenDisk {
  const { wholeCopies } = disk;
  if (wholeCopies.length <= most) return disk;
  const shown = wholeCopies.slice(0, most - 1);
  const rest = { place: `${wholeCopies.length - shown.length} parts`, reason: "see the recovery point" };
  return { ...disk, wholeCopies: [...shown, rest] };
}
