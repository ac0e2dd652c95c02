import type { MachineShape } from "../protocol/defined-machine.ts";
import { type Inventory, MOST_INTERFACES } from "../protocol/inventory.ts";

/**
 * The bridges that the cards of a machine lead to, and that its target host did not have when its agent
 * connected. None is missing as far as that is unknown.
 */
export function missingBridges(
  cards: MachineShape["cards"],
  inventory: Pick<Inventory, "network"> | undefined,
): string[] {
  const known = inventory?.network.interfaces.map(({ name }) => name) ?? [];
  if (known.length === 0 || known.length >= MOST_INTERFACES) return [];
  const bridges = cards.flatMap(({ link }) => (link.kind === "bridge" ? [link.bridge] : []));
  return [...new Set(bridges)].filter((bridge) => !known.includes(bridge));
}
