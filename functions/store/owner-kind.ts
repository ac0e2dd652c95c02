import { CheckId, CutoverId, DrillId, RecoveryId, RunId } from "#shared/protocol/ids.ts";

/** What can own commands. */
export type OwnerKind = "conversion" | "run" | "drill" | "check" | "recovery" | "cutover";

/** By the id alone. */
export function ownerKind(id: string): OwnerKind {
  if (RunId.safeParse(id).success) return "run";
  if (DrillId.safeParse(id).success) return "drill";
  if (RecoveryId.safeParse(id).success) return "recovery";
  if (CutoverId.safeParse(id).success) return "cutover";
  return CheckId.safeParse(id).success ? "check" : "conversion";
}

/** The partition that an owner of commands shares with them. */
export function ownerPartition(ownerId: string): string {
  return `${ownerKind(ownerId).toUpperCase()}#${ownerId}`;
}
