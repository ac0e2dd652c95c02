import type { Adapter } from "../adapter.ts";
import { filesMatching } from "../captured-system.ts";
import { replacementFor } from "../device-name.ts";

const PATHS = ["/boot/grub/device.map", "/boot/grub2/device.map"];

/** GRUB's list of the BIOS' disks. Its tools work without it, and fail with one that names absent disks. */
export const deviceMap: Adapter = {
  reads: PATHS,
  adapt(system) {
    const stale = filesMatching(system, PATHS).filter(({ text }) =>
      [...text.matchAll(/^\s*\([hf]d\d+\)\s+(\S+)/gm)].some(
        ([, device = ""]) => device.startsWith("/dev/") && replacementFor(device, system) !== undefined,
      ),
    );
    return {
      edits: stale.map(({ path }) => ({ path, why: "it names disks as the old hardware did" })),
    };
  },
};
