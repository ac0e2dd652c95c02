import type { MachineLeases } from "../machine.ts";

/** A target host on which no machine has a lease. */
export function noLeases(changes: Partial<MachineLeases> = {}): MachineLeases {
  return {
    open: async () => {
      throw new Error("this machine gets no lease");
    },
    requireMayRun: async () => {},
    isPaused: async () => false,
    kill: async () => {},
    close: async () => {},
    ...changes,
  };
}
