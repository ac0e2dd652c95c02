import type { SystemIdentity } from "#shared/protocol/wanted-machine.ts";

/** One line if something is new. */
export function describeIdentity(identity: SystemIdentity | undefined): string[] {
  const parts = [
    ...(identity?.machineId === "new" ? ["a new machine id"] : []),
    ...(identity?.hostKeys === "new" ? ["new SSH host keys, of which clients warn"] : []),
  ];
  return parts.length === 0 ? [] : [`its system gets ${parts.join(" and ")}`];
}
