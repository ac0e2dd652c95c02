import type { Inventory } from "#shared/protocol/inventory.ts";

/** The parts of a machine that its agent looks at before each recovery point. */
export type SeenMachine = Pick<Inventory, "disks" | "fencedServices" | "fencedUnits">;

/** Whether the control plane has to know what was seen, because it differs from what was reported. */
export function isNews(seen: SeenMachine, reported: SeenMachine | undefined): boolean {
  if (!reported || namesAndSizes(seen) !== namesAndSizes(reported)) return true;
  const known = new Map(reported.fencedUnits?.map(({ name, state }) => [name, state]));
  // A service that only stops is no news: a fence stops all of them, in an outage.
  return (seen.fencedUnits ?? []).some(
    ({ name, state }) => known.get(name) !== state && !(known.get(name) === "running" && state === "stopped"),
  );
}

function namesAndSizes({ disks }: SeenMachine): string {
  return JSON.stringify(disks.map(({ name, sizeBytes }) => [name, sizeBytes]));
}
