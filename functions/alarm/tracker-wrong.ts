/** The alarm that a source's tracker had not noticed changes of a disk. */
import * as z from "zod";
import type { AgentRecord } from "#shared/domain/agent.ts";
import type { NewAlarm } from "#shared/domain/alarm.ts";
import { DiskName } from "#shared/protocol/ids.ts";
import type { TakenDisk } from "#shared/protocol/taken-point.ts";
import { timestamp } from "../conversion/deps.ts";
import { clearAlarm, type ReportDeps, raiseAlarm } from "./raise.ts";

/** Of a disk in a recovery point; both are absent if the command that read it does not know of trackers. */
export type TrackedInPoint = Pick<TakenDisk, "name"> &
  Partial<Pick<TakenDisk, "mode" | "trackerDisagreements">>;

const Details = z.object({ disks: z.array(DiskName) });

/**
 * Raises the alarm if the tracker was wrong about a disk of a recovery point. Clears it once a point has all
 * disks of the alarm as the tracker followed them, and their samples agree. Repeating it is harmless.
 */
export async function reportTracker(
  { sourceId, pointId, disks }: { sourceId: string; pointId: string; disks: readonly TrackedInPoint[] },
  deps: ReportDeps,
): Promise<void> {
  const isWrong = ({ trackerDisagreements = 0 }: TrackedInPoint) => trackerDisagreements > 0;
  const wrong = disks.filter(isWrong);
  if (wrong.length > 0) {
    const source = await deps.store.agents.get(sourceId);
    await raiseAlarm(trackerWrong({ source, pointId, wrong, since: timestamp(deps.clock) }), deps);
    return;
  }
  const right = new Set(disks.filter(({ mode }) => mode === "tracked").map(({ name }) => name));
  if (right.size === 0) return;
  const key = { kind: "tracker-wrong" as const, subject: sourceId };
  const alarm = await deps.store.alarms.find(key);
  if (alarm && Details.parse(alarm.details).disks.every((name) => right.has(name)))
    await clearAlarm(key, deps);
}

function trackerWrong(given: {
  source: AgentRecord;
  pointId: string;
  wrong: readonly TrackedInPoint[];
  since: string;
}): NewAlarm {
  const { source, pointId, wrong, since } = given;
  const { id, name } = source;
  const found = wrong.map((disk) => `${disk.name} (${blocks(disk.trackerDisagreements)})`).join(", ");
  return {
    kind: "tracker-wrong",
    subject: id,
    sourceId: id,
    sourceName: name,
    since,
    cause: `The tracker of ${name} had not noticed changes of ${found}: sampled blocks differed from the recovery point before, although it said that they were the same. What else it missed is unknown, so recovery point ${pointId} is not consistent, and earlier points since the last hash scan of the disk may lack changes, too.`,
    action: `The next run reads and compares all of the disk, which makes its recovery point right: start it with \`causeway plan PLAN run\`, and do not rely on the points before it. If this happens again, report the kernel's version and the kind of disk, and copy ${name} by remote cold clones.`,
    details: { pointId, disks: wrong.map((disk) => disk.name) },
  };
}

function blocks(count = 0): string {
  return count === 1 ? "1 block of the sample" : `${count} blocks of the sample`;
}
