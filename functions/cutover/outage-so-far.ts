/** What the parts of a cutover's outage took, as far as they are over. */
import type { CommandRecord } from "#shared/domain/command.ts";
import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import type { Cutover } from "#shared/protocol/cutover.ts";
import { OutagePart } from "#shared/protocol/cutover-forecast.ts";
import type { Store } from "../store/store.ts";
import { durationsOf } from "./measured-parts.ts";

/** `commands`: of the cutover. */
export async function outageSoFar(
  cutover: CutoverRecord,
  commands: readonly CommandRecord[],
  store: Pick<Store, "runs">,
): Promise<Pick<Cutover, "outageParts" | "adapted">> {
  const took = { ...durationsOf(commands), ...(await finalSync(cutover, store)) };
  const adapted = adaptedIn(commands);
  const outageParts = OutagePart.options.flatMap((part) => {
    const [seconds] = took[part] ?? [];
    if (seconds === undefined) return [];
    // What could not be computed before the window is in this outage.
    return [{ part, seconds: part === "adapt" ? seconds + (adapted?.computeSeconds ?? 0) : seconds }];
  });
  return { ...(outageParts.length > 0 && { outageParts }), ...(adapted && { adapted }) };
}

/** The last copy: read in the source's own system, or in its boot environment. */
async function finalSync(
  { runs, restart }: CutoverRecord,
  store: Pick<Store, "runs">,
): Promise<Partial<Record<OutagePart, number[]>>> {
  const last = runs.findLast(({ phase }) => phase === "final-sync");
  const result = last && (await store.runs.find(last.id))?.result;
  if (!result) return {};
  const { seconds, standby } = result;
  return {
    [restart ? "scan" : "capture"]: [seconds],
    ...(standby?.state === "applied" && { apply: [standby.seconds] }),
  };
}

function adaptedIn(commands: readonly CommandRecord[]): Cutover["adapted"] {
  const done = commands.find(
    ({ kind, label, state }) => kind === "adapt-machine" && label === undefined && state === "succeeded",
  );
  const output = done && commandKinds["adapt-machine"].output.safeParse(done.output).data;
  if (!output) return undefined;
  const { changes, stale, computeSeconds, applySeconds } = output;
  return { changes: changes.length, stale, computeSeconds, applySeconds };
}
