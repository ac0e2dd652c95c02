/** The rules for reading disks while their system runs: nothing may write to them meanwhile. */
import { typeChoices } from "../../protocol/conversion-types.ts";
import type { Disk } from "../../protocol/inventory.ts";
import { type PreflightRule, Unknown } from "./rule.ts";

export const unusedDiskRules: readonly PreflightRule[] = [
  {
    id: "disk-in-use",
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "nothing writes to the disks while they are read",
    check: ({ conversion, source }) => {
      const chosen = source.inventory?.disks.filter(({ name }) => conversion.disks.includes(name)) ?? [];
      const used = chosen.filter(({ inUse }) => inUse === true);
      if (used.length > 0) return `in use: ${used.map(usedBy).join("; ")}. The copy would not be consistent`;
      const open = chosen.filter(({ inUse }) => inUse === undefined).map(({ name }) => name);
      return open.length > 0
        ? new Unknown(`it is not known whether ${open.join(", ")} is in use`)
        : undefined;
    },
    remedy: `Unmount the disk, name an image file or an unused disk, or clone the machine with --type ${typeChoices.restarting}.`,
  },
];

function usedBy({ name, mountPoints, partitions }: Disk): string {
  const points = [...mountPoints, ...partitions.flatMap((partition) => partition.mountPoints)];
  return points.length > 0 ? `${name} (mounted at ${points.slice(0, 4).join(", ")})` : name;
}
