import type { Inventory } from "../protocol/inventory.ts";

/** What an inventory could not tell, in words, each with its disk. The text is untrusted. */
export function inventoryProblems({ problems = [], disks }: Pick<Inventory, "problems" | "disks">): string[] {
  const ofDisks = disks.flatMap((disk) =>
    [disk.unreadable === undefined ? [] : `cannot be read: ${disk.unreadable}`, disk.problems]
      .flat()
      .map((problem) => `disk ${disk.name}: ${problem}`),
  );
  return [...problems, ...ofDisks];
}
