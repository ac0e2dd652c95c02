/** The partition that a conversion or a protection run shares with its commands. */
export function ownerPartition(ownerId: string): string {
  return `${ownerId.startsWith("run_") ? "RUN" : "CONVERSION"}#${ownerId}`;
}
