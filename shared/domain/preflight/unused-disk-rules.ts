/** The rules for reading disks while their system runs: the copy must have one instant. */
import { PreflightFailedError } from "../../errors.ts";
import { typeChoices } from "../../protocol/conversion-types.ts";
import type { Disk } from "../../protocol/inventory.ts";
import type { RuleName } from "../../protocol/rule-names.ts";
import { type PreflightRule, Unknown } from "./rule.ts";

export const unusedDiskRules: readonly PreflightRule[] = [
  {
    id: "disk-in-use",
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the disks can be copied as of one instant",
    check: ({ conversion, source }) =>
      problemOf(source.inventory?.disks.filter(({ name }) => conversion.disks.includes(name)) ?? []),
    remedy: `Unmount the disk, name an image file or an unused disk, or clone the machine with --type ${typeChoices.restarting}.`,
  },
];

/**
 * The same rule for a protection plan, which reads these disks while their system runs. Throws
 * `PreflightFailedError` unless the rule is accepted.
 */
export function requireUnused(disks: readonly Disk[], accept: readonly RuleName[]): void {
  const problem = accept.includes("disk-in-use") ? undefined : problemOf(disks);
  if (problem === undefined) return;
  const message = problem instanceof Unknown ? problem.message : problem;
  const remedy =
    "Name unused disks with --disk, or accept with --accept disk-in-use that the recovery points are marked as not consistent.";
  throw new PreflightFailedError([{ id: "disk-in-use", message, remedy }]);
}

function problemOf(disks: readonly Disk[]): string | Unknown | undefined {
  const used = disks.filter(({ inUse, liveCopy }) => inUse === true && liveCopy?.isPossible !== true);
  if (used.length > 0) return `in use: ${used.map(usedBy).join("; ")}. The copy would not be consistent`;
  const open = disks.filter(({ inUse }) => inUse === undefined).map(({ name }) => name);
  return open.length > 0 ? new Unknown(`it is not known whether ${open.join(", ")} is in use`) : undefined;
}

function usedBy({ name, mountPoints, partitions, liveCopy }: Disk): string {
  const points = [...mountPoints, ...partitions.flatMap((partition) => partition.mountPoints)];
  const facts = [
    ...(points.length > 0 ? [`mounted at ${points.slice(0, 4).join(", ")}`] : []),
    ...(liveCopy?.obstacle === undefined ? [] : [liveCopy.obstacle]),
  ];
  return facts.length > 0 ? `${name} (${facts.join("; ")})` : name;
}
