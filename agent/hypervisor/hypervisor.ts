import type { HypervisorInventory } from "#shared/protocol/inventory.ts";
import type { Machine } from "../machine/machine.ts";
import type { BootCheckOptions, BootCheckResult } from "./boot-check.ts";

/** What runs virtual machines on a target host. */
export interface Hypervisor {
  /** Its part of the inventory; `undefined` if it is not installed on this machine. */
  describe(machine: Machine): Promise<HypervisorInventory | undefined>;
  /** See `bootCheck` for what it returns and throws. */
  bootCheck(options: BootCheckOptions): Promise<BootCheckResult>;
}
