import type { LimitingStage } from "../../protocol/protection.ts";

/** One thing that makes a run faster, by the stage that limits it. */
const ACTIONS: Record<LimitingStage, string> = {
  read: "Name fewer disks with --disk, or move the source to faster storage.",
  compress: "Give the source more processors, or start its runs in hours in which it works less.",
  upload: "Raise the plan's --bandwidth-limit or --bandwidth-hours, or the source's bandwidth to the bucket.",
  download: "Raise the target host's bandwidth to the bucket.",
  expand: "Give the target host more processors.",
  apply: "Move the target host's images to faster storage, or keep no standby.",
  write: "Move the target host's images to faster storage.",
};

/** What an operator can do about the stage that limits a plan's runs: one sentence. */
export function adviceFor(limitingStage: LimitingStage): string {
  return ACTIONS[limitingStage];
}
