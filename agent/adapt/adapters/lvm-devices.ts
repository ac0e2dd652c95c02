import type { Adaptation, Adapter } from "../adapter.ts";
import { filesMatching } from "../captured-system.ts";

const LIST = "/etc/lvm/devices/system.devices";
const CONFIGURATION = "/etc/lvm/lvm.conf";
const FILTER = /^\s*(?:global_)?filter\s*=\s*\[.*["']a[|/].*\/dev\/(?!mapper)/m;

/** LVM's list of the devices it may use, by identities that a virtual disk does not have. */
export const lvmDevices: Adapter = {
  reads: [LIST, CONFIGURATION],
  adapt(system): Adaptation {
    const why = "it names disks by identities that virtual ones do not have; without it LVM looks at all";
    const edits = filesMatching(system, [LIST]).map(({ path }) => ({ path, why }));
    return {
      edits,
      notes: filesMatching(system, [CONFIGURATION])
        .filter(({ text }) => FILTER.test(text))
        .map(({ path }) => `${path} has a filter that names devices; LVM may not find its volumes`),
      rebuild: edits.map(() => ({ why: `it contains ${LIST}` })),
    };
  },
};
