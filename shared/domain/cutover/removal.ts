/** What a cutover that has ended without a commit leaves on its target host, until that has removed it. */
import type { Cutover } from "../../protocol/cutover.ts";
import { type CommandRecord, latest, type WantedCommand } from "../command.ts";
import { type CutoverRecord, cutoverHasEnded, endedAfterCommit } from "./cutover.ts";

const FIRST_LOOK_MS = 300_000;
const LAST_LOOK_MS = 86_400_000;

/** How far that is; `undefined` as long as the cutover may still use it, or if there never was anything. */
export function removalOf(cutover: CutoverRecord, commands: readonly CommandRecord[]): Cutover["removal"] {
  if (!cutoverHasEnded(cutover) || endedAfterCommit(cutover)) return undefined;
  // By hand, a machine can be removed without its disks.
  const last = latest(
    commands.filter(({ kind, input }) => kind === "remove-machine" && input.disks === true),
  );
  if (!last) return undefined;
  if (last.state === "failed") return { state: "failed", failure: last.failure };
  return { state: last.state === "succeeded" ? "done" : "asked" };
}

/**
 * The commands that have the target host remove it, in the order in which it is to carry them out. A machine
 * that could not be switched off is first switched off: one that is on is not removed.
 */
export function removalCommands(
  { id: ownerId, targetId: agentId, requestedBy }: CutoverRecord,
  commands: readonly CommandRecord[],
): WantedCommand[] {
  // A target host that never got a command has nothing to remove.
  if (!commands.some((one) => one.agentId === agentId)) return [];
  const common = { ownerId, agentId, round: 1, requestedBy };
  const off = latest(commands.filter(({ kind, label }) => kind === "power-machine" && label === "off"));
  const power = { ownerId, power: "off", atOnce: true };
  return [
    ...(off?.state === "failed" && off.failure?.name !== "MachineNotDefinedError"
      ? [{ ...common, kind: "power-machine", label: "off", input: power } as const]
      : []),
    { ...common, kind: "remove-machine", input: { ownerId, disks: true } },
  ];
}

/**
 * When to look next whether it was removed: each time after as long as since the end. `undefined` once that
 * was tried for a day. Times are milliseconds since 1970.
 */
export function nextRemovalLook(endedAt: number, now: number): number | undefined {
  const passed = now - endedAt;
  return passed < LAST_LOOK_MS ? now + Math.max(FIRST_LOOK_MS, passed) : undefined;
}
