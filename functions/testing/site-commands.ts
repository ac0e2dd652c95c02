/** The commands of a cutover's site, and an answer to one. */
import type { Command } from "#shared/protocol/commands.ts";

/** What a command is, whichever try it is: `set-fence up`, `clone-standby rehearsal`. */
export function commandKey({ commandId, kind, input }: Command): string {
  const { isUp, lasting, power } = input as Record<string, unknown>;
  const fence = !isUp ? "down" : lasting === true ? "lasting" : "up";
  const given = { "set-fence": fence, "power-machine": String(power) }[kind as string];
  return [kind, given ?? commandId.split(".")[2]?.replace(/^\d+$/, "")].filter(Boolean).join(" ");
}

/** The disk of a recovery point, as its source's agent answers. */
export function diskOfPoint(changedBytes: number): object {
  return {
    ...{ name: "vda", sizeBytes: 64, bytesRead: 64, bytesStored: 32, changedBytes, badRanges: 0 },
    ...{ consistency: "crash", wholeCopies: [], seconds: 2, bottleneck: "read", mode: "hash-scan" },
    ...{ modeReason: "no tracker", view: "still", viewReason: "unused", trackerDisagreements: 0 },
  };
}
