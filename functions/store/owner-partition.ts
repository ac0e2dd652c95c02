/** The partition that a conversion, a protection run or a drill shares with its commands. */
export function ownerPartition(ownerId: string): string {
  if (ownerId.startsWith("run_")) return `RUN#${ownerId}`;
  if (ownerId.startsWith("drl_")) return `DRILL#${ownerId}`;
  return `CONVERSION#${ownerId}`;
}
