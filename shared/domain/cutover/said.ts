/** What the agents of a cutover have said of its end. */
import type { CommandRecord } from "../command.ts";
import { type CutoverRecord, sourceOffOf } from "./cutover.ts";
import { removalOf } from "./removal.ts";

type Said = Pick<CutoverRecord, "sourceOff" | "removal">;

/** As the results of their commands have it, which may be newer than what the cutover's record has. */
export function saidOf(cutover: CutoverRecord, commands: readonly CommandRecord[]): Said {
  return { sourceOff: sourceOffOf(cutover, commands), removal: removalOf(cutover, commands) };
}

export function isSameSaid(a: Said, b: Said): boolean {
  return (
    a.sourceOff === b.sourceOff &&
    a.removal?.state === b.removal?.state &&
    a.removal?.failure?.message === b.removal?.failure?.message
  );
}
