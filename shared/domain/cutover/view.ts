/** A cutover as the API shows it. */
import type { Cutover } from "../../protocol/cutover.ts";
import { identityIn, newAddressesIn } from "../adapted-machine.ts";
import { type CutoverRecord, isSourceAway } from "./cutover.ts";
import { openingFrom } from "./window.ts";

/** `now`: milliseconds since 1970. `details`: what its source, its commands and those of its run say. */
export function cutoverOf(
  cutover: CutoverRecord,
  now: number,
  details: Pick<
    Cutover,
    | "rehearsal"
    | "copying"
    | "disks"
    | "syncs"
    | "fencedUnits"
    | "missingBridges"
    | "networkChecks"
    | "outageParts"
    | "adapted"
    | "notes"
  > = {},
): Cutover {
  const { id, sourceId, targetId, planId, state, mode, windows, needsApproval, approved, go } = cutover;
  const { heldBack, forecast, states, machine, answer, failure, requestedBy } = cutover;
  const { edition: version, sourceOff, sourceServes, removal } = cutover;
  const opening = openingFrom(windows, now);
  const iso = (time: number) => new Date(time).toISOString();
  return {
    ...{ id, version, sourceId, targetId, planId, state, mode, windows, needsApproval, approved, go },
    heldBack,
    window: opening ? { opensAt: iso(opening.opensAt), closesAt: iso(opening.closesAt) } : null,
    deadlineAt: cutover.deadlineAt ?? null,
    forecast,
    ...details,
    ...{ proveSeconds: cutover.proveSeconds, proof: cutover.proof },
    outageSeconds: cutover.outageSeconds ?? null,
    runs: cutover.runs.map(({ id: run, phase }) => ({ id: run, phase })),
    pointId: cutover.final?.pointId,
    quiesce: cutover.quiesce,
    ...(isSourceAway(cutover) && state !== "completed" ? { whereabouts: cutover.whereabouts } : {}),
    ...{ switchSourceOff: cutover.switchSourceOff, identity: identityIn(cutover.adaptation) },
    addresses: newAddressesIn(cutover.adaptation),
    ...{ states, machine, answer, sourceOff, sourceServes, removal, failure, requestedBy },
    ...{ createdAt: cutover.createdAt, endedAt: cutover.endedAt },
  };
}
