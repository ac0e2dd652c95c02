import type { HypervisorInventory } from "#shared/protocol/inventory.ts";
import type { Machine } from "../machine/machine.ts";
import type { BootCheckOptions, BootCheckResult } from "./boot-check.ts";

/** What runs virtual machines on a target host. */
export interface Hypervisor {
  /** What the inventory says of it; undefined where it is not installed on this machine. */
  describe(machine: Machine): Promise<HypervisorInventory | undefined>;
  /** See `bootCheck` for what it gives and throws. */
  bootCheck(options: BootCheckOptions): Promise<BootCheckResult>;
}
