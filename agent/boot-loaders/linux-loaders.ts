import type { BootMachine } from "../machine/boot-machine.ts";
import type { BootLoaderAdapter } from "./adapter.ts";
import { bootNext } from "./boot-next.ts";
import { grub } from "./grub.ts";
import { lilo } from "./lilo.ts";
import { EVIDENCE, type InstalledLoader, type LinuxLoader, type LoaderHost } from "./linux-loader.ts";
import { systemdBoot } from "./systemd-boot.ts";

/**
 * In the order in which arming prefers them: by how little of the machine each changes, and how surely it
 * ends by itself.
 */
const LINUX_LOADERS: readonly LinuxLoader[] = [bootNext, systemdBoot, grub, lilo];

/** The adapters of those that can be armed, in order of preference. */
export function linuxAdapters(machine: BootMachine): BootLoaderAdapter[] {
  return LINUX_LOADERS.flatMap(({ adapter }) => adapter?.(machine) ?? []);
}

/** The one for which most speaks; undefined where none is installed. */
export async function describeLoader(host: LoaderHost): Promise<InstalledLoader["description"] | undefined> {
  const installed: InstalledLoader[] = [];
  for (const { describe } of LINUX_LOADERS) {
    const found = await describe?.(host);
    if (found) installed.push(found);
  }
  const rank = ({ evidence }: InstalledLoader) => EVIDENCE.indexOf(evidence);
  return installed.toSorted((a, b) => rank(a) - rank(b))[0]?.description;
}
