import type { Disk, Inventory } from "../protocol/inventory.ts";

/** What the agent could not find out for an inventory, as text, each with its disk. The text is untrusted. */
export function inventoryProblems({ problems = [], disks }: Pick<Inventory, "problems" | "disks">): string[] {
  return [
    ...problems,
    ...disks.flatMap((disk) => problemsOf(disk).map((problem) => `disk ${disk.name}: ${problem}`)),
  ];
}

/** Why it cannot be read is among its problems, too. */
function problemsOf({ unreadable, problems }: Disk): string[] {
  if (unreadable === undefined) return problems;
  return [`cannot be read: ${unreadable}`, ...problems.filter((problem) => problem !== unreadable)];
}
