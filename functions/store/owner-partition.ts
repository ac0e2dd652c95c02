/** The partition that a conversion, a protection run, a drill or a check shares with its commands. */
export function ownerPartition(ownerId: string): string {
  if (ownerId.startsWith("run_")) return `RUN#${ownerId}`;
  if (ownerId.startsWith("drl_")) return `DRILL#${ownerId}`;
  if (ownerId.startsWith("chk_")) return `CHECK#${ownerId}`;
  return `CONVERSION#${ownerId}`;
}
