import type { Disk, Inventory } from "../protocol/inventory.ts";
import { missingServices } from "./listed-services.ts";

/**
 * What the agent could not find out for an inventory, or found to be wrong, as text, each with its disk or
 * service. The text is untrusted.
 */
export function inventoryProblems({
  problems = [],
  disks,
  fencedUnits = [],
}: Pick<Inventory, "problems" | "disks" | "fencedUnits">): string[] {
  return [
    ...problems,
    ...missingServices({ fencedUnits }).map(
      (name) => `fenced service ${name}: systemd knows no service of this name`,
    ),
    ...disks.flatMap((disk) => problemsOf(disk).map((problem) => `disk ${disk.name}: ${problem}`)),
  ];
}

/** Why it cannot be read is among its problems, too. */
function problemsOf({ unreadable, problems }: Disk): string[] {
  if (unreadable === undefined) return problems;
  return [`cannot be read: ${unreadable}`, ...problems.filter((problem) => problem !== unreadable)];
}
