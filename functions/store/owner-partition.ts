import { ownerKind } from "#shared/protocol/ids.ts";

/** The partition that an owner of commands shares with them. */
export function ownerPartition(ownerId: string): string {
  return `${ownerKind(ownerId).toUpperCase()}#${ownerId}`;
}
