import type { BootLoader } from "#shared/protocol/inventory.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import type { Machine } from "../machine/machine.ts";
import type { BootLoaderAdapter } from "./adapter.ts";

/** What starts Linux systems: how it is armed, and how the inventory shows it. */
export interface LinuxLoader {
  /** Absent where it cannot start an entry once. */
  adapter?: (machine: BootMachine) => BootLoaderAdapter;
  /** Undefined where it is not installed. Absent where it has no files of its own. Changes nothing. */
  describe?: (host: LoaderHost) => Promise<InstalledLoader | undefined>;
}

/** Where a boot loader is looked for. */
export interface LoaderHost {
  machine: Machine;
  /** The mount that holds a path. */
  mountOf: (path: string) => { type: string; source: string } | undefined;
  /** Where the EFI system partition is mounted. */
  espPath: string | undefined;
  /** What the boot loader that started this system calls itself, if it does. */
  running: string | undefined;
}

export interface InstalledLoader {
  /** How much speaks for it, where several are installed. */
  evidence: Evidence;
  description: Omit<BootLoader, "entries" | "espPath">;
}

/**
 * The strongest first: it says that it started this system; its configuration is there; only traces of it are
 * there.
 */
export const EVIDENCE = ["started", "configured", "traces"] as const;
export type Evidence = (typeof EVIDENCE)[number];
