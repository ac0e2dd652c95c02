/** The partition that an owner of commands shares with them. */
export function ownerPartition(ownerId: string): string {
  if (ownerId.startsWith("run_")) return `RUN#${ownerId}`;
  if (ownerId.startsWith("drl_")) return `DRILL#${ownerId}`;
  if (ownerId.startsWith("chk_")) return `CHECK#${ownerId}`;
  if (ownerId.startsWith("rcv_")) return `RECOVERY#${ownerId}`;
  return `CONVERSION#${ownerId}`;
}
