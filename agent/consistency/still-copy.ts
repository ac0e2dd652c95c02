import type { CopyView } from "#shared/format/point.ts";
import { leastConsistency, type WholeCopy } from "#shared/protocol/copied-disk.ts";
import type { DiskUsage } from "../filesystems/disk-usage.ts";
import { MOST_VOLUMES, MOST_WHOLE_COPIES } from "./message-room.ts";

const REASON_LENGTH = 200;

/**
 * How far the copy of a disk that nothing writes to can be trusted. `usage` says how its free space was
 * found; absent if it was copied whole by request. The disk is from one instant: `file-system` if its file
 * system says that it was unmounted cleanly, otherwise `crash`.
 */
export function stillCopyOf(usage: DiskUsage | undefined): CopyView {
  if (!usage) return { consistency: "crash", volumes: [], wholeCopies: [] };
  const volumes = usage.volumes.map(({ name, method }) => ({
    name,
    consistency: method === "free-space-map" ? ("file-system" as const) : ("crash" as const),
  }));
  return {
    consistency: volumes.length > 0 ? leastConsistency(volumes.map((one) => one.consistency)) : "crash",
    volumes: volumes.slice(0, MOST_VOLUMES),
    wholeCopies: wholeCopiesOf(usage),
  };
}

/** Doubts first: an operator can look into those. */
function wholeCopiesOf({ doubts, volumes }: DiskUsage): WholeCopy[] {
  const doubted = new Set(doubts.map(({ place }) => place));
  const others = volumes
    .filter(({ name, method }) => method === "everything" && !doubted.has(name))
    .map(({ name, reason }) => ({ place: name, reason: reason ?? "its free space is not known" }));
  const all = [...doubts, ...others].map(({ place, reason }) => ({
    place: clip(place, 160),
    reason: clip(reason, REASON_LENGTH),
  }));
  if (all.length <= MOST_WHOLE_COPIES) return all;
  const shown = all.slice(0, MOST_WHOLE_COPIES - 1);
  return [...shown, { place: `${all.length - shown.length} more parts`, reason: "see the agent's log" }];
}

function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
