import type { ShownAdaptation } from "#shared/protocol/wanted-machine.ts";
import { duration } from "#shared/units.ts";
import { oneLine, titled } from "../terminal.ts";

/** A line for each. */
export function describeNotes(notes: readonly string[] | undefined): string[] {
  return (notes ?? []).map((note) => oneLine(`look after: ${note}`));
}

/** Each change with its reason and its diff, then what else an operator needs to know. */
export function describedAdaptation({
  changes,
  commands,
  notes,
  isApplied,
  stale,
  computeSeconds,
  applySeconds,
}: ShownAdaptation): string {
  return [
    ...changes.flatMap(({ path, why, diff }) => titled(`${path}: ${why.join("; ")}`, diff)),
    ...commands.map(({ command, seconds }) => oneLine(`ran: ${command} (${duration(seconds)})`)),
    ...describeNotes(notes),
    ...(stale.length > 0
      ? [oneLine(`computed again, because this is not as it was: ${stale.join(", ")}`)]
      : []),
    isApplied
      ? `changed files: ${changes.length} (computed in ${duration(computeSeconds)}, written in ${duration(applySeconds)})`
      : `files that would be changed: ${changes.length}; none is (computed in ${duration(computeSeconds)})`,
  ].join("\n");
}
