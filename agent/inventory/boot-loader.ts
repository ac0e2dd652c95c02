import { type BootLoader, UNKNOWN } from "#shared/protocol/inventory.ts";
import { findEsp, runningLoader } from "../boot-loaders/firmware.ts";
import { describeLoader } from "../boot-loaders/linux-loaders.ts";
import type { Machine } from "../machine/machine.ts";
import type { Mounts } from "../machine/mounts.ts";
import { collectBootEntries } from "../machine/system.ts";

/** Which boot loader starts this system, and where its files are. */
export async function collectBootLoader(machine: Machine, mounts: Mounts): Promise<BootLoader> {
  const espPath = findEsp(mounts.all)?.mountPoint;
  const running = await runningLoader(machine);
  const mountOf = (path: string) => mounts.holding(path);
  return {
    entries: await collectBootEntries(machine),
    ...(espPath && { espPath }),
    ...((await describeLoader({ machine, mountOf, espPath, running })) ?? { kind: UNKNOWN }),
  };
}
