/** What is known, before an outage, of the services that a source's fence is to stop in it. */
import { FencedServiceMissingError, NothingFencedError, SourceAgentOutdatedError } from "../errors.ts";
import type { Inventory } from "../protocol/inventory.ts";

type Fenced = Pick<Inventory, "fencedServices" | "fencedUnits">;

/**
 * Throws `SourceAgentOutdatedError` if the source's agent does not say what its fence stops,
 * `NothingFencedError` if that is nothing, and `FencedServiceMissingError` if a service of it does not exist.
 * What is unknown may be right.
 */
export function requireFencible(sourceId: string, inventory: Fenced): void {
  const { fencedServices } = inventory;
  // An older agent that has a list, and does not say so, puts its fence on the disks that are copied.
  if (fencedServices === undefined) throw new SourceAgentOutdatedError(sourceId);
  if (fencedServices.length === 0) throw new NothingFencedError(sourceId);
  const lack = serviceLack(sourceId, inventory);
  if (lack) throw lack;
}

/** What is wrong if a service of the list does not exist, as far as that is known. */
export function serviceLack(sourceId: string, inventory: Fenced): FencedServiceMissingError | undefined {
  const missing = missingServices(inventory);
  return missing.length > 0 ? new FencedServiceMissingError(sourceId, missing) : undefined;
}

/** Those that do not exist, as far as that is known. */
export function missingServices({ fencedUnits = [] }: Fenced): string[] {
  return fencedUnits.filter(({ state }) => state === "not-found").map(({ name }) => name);
}
