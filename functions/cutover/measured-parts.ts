/** How long the parts of an outage took with the last machines of a target host. */
import type { CommandRecord } from "#shared/domain/command.ts";
import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import type { CutoverHistory, Durations, FixedPart } from "#shared/domain/cutover/forecast.ts";
import { machineDifferences } from "#shared/domain/cutover/machine-likeness.ts";
import {
  MACHINE_PARTS,
  SWITCH_OFF_ANSWER_SECONDS,
  SWITCH_OFF_WAIT_SECONDS,
} from "#shared/domain/cutover/outage-parts.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import { ShownAdaptation } from "#shared/protocol/wanted-machine.ts";
import { secondsBetween } from "#shared/seconds-between.ts";
import type { Store } from "../store/store.ts";

/** Older ones say little about the source and the target host as they are. */
const MOST_OWN = 5;
const MOST_OTHERS = 15;
const LOOKED_AT = 100;

/** The commands whose time each part of an outage is, from their order to their result. */
const PARTS: readonly { part: FixedPart | "proof"; commands: readonly string[] }[] = [
  { part: "quiesce", commands: ["set-fence up"] },
  { part: "clone", commands: ["clone-standby"] },
  { part: "proof", commands: ["hash-files final", "compare-files final"] },
  { part: "define", commands: ["define-machine"] },
  { part: "adapt", commands: ["adapt-machine"] },
  { part: "boot", commands: ["bring-up-machine"] },
  { part: "isolated-answer", commands: ["bring-up-machine isolated"] },
  { part: "switch-off", commands: ["switch-off"] },
  { part: "connect", commands: ["set-fence lasting", "connect-machine"] },
  { part: "answer", commands: ["bring-up-machine connected"] },
];
const COMMANDS: ReadonlySet<string> = new Set(PARTS.flatMap(({ commands }) => commands));

/** What the workflow does after these is counted by itself: the last copy, a wait. */
const NOT_FOLLOWED = ["set-fence up", "switch-off"];

/** A machine that the target host made for a cutover or a recovery. */
interface Made {
  durations: Durations;
  /** In what it differs from the planned one. */
  differences: readonly string[];
}

/** Of the last machines that the cutover's target host made of its source, and of other sources. */
export async function measuredParts(
  cutover: CutoverRecord,
  store: Store,
): Promise<Pick<CutoverHistory, "durations" | "otherMachine" | "others">> {
  const { own, others } = await lastMachines(cutover, store);
  const restarts = cutover.restart ? await lastRestarts(cutover, store) : { own: [], others: [] };
  const alike = own.map(({ durations, differences }) =>
    differences.length === 0 ? durations : ofParts(durations, (part) => !MACHINE_PARTS.has(part)),
  );
  const unlike = own.filter(({ differences }) => differences.length > 0);
  return {
    durations: together([...restarts.own, ...alike]),
    otherMachine: {
      durations: together(
        unlike.map(({ durations }) => ofParts(durations, (part) => MACHINE_PARTS.has(part))),
      ),
      differences: [...new Set(unlike.flatMap(({ differences }) => differences))],
    },
    others: [...restarts.others, ...others.map((each) => each.map(({ durations }) => durations))].map(
      together,
    ),
  };
}

/** Of the last cold clones, oldest first: they restart a source as a cutover does, whatever their host is. */
async function lastRestarts(
  { sourceId }: CutoverRecord,
  { conversions }: Store,
): Promise<{ own: Durations[]; others: Durations[][] }> {
  const { items } = await conversions.page({ limit: LOOKED_AT });
  const clones = items.filter(({ whereabouts }) => whereabouts !== undefined);
  return ownAndOthers(clones, sourceId, async ({ id }) =>
    restartOf((await conversions.withCommands(id)).commands),
  );
}

/** From the order to arm the source until its boot environment has reported. */
function restartOf(commands: readonly CommandRecord[]): Durations {
  const done = (wanted: string) =>
    commands.find(({ kind, state }) => kind === wanted && state === "succeeded");
  const [armed, reported] = [done("arm-boot"), done("report-boot-state")];
  if (!armed || reported?.endedAt === undefined) return {};
  return { "boot-environment": [Math.max(0, secondsBetween(armed.issuedAt, reported.endedAt))] };
}

/** Oldest first. */
async function lastMachines(
  { id, sourceId, targetId, planned }: CutoverRecord,
  { cutovers, recoveries }: Store,
): Promise<{ own: Made[]; others: Made[][] }> {
  const pages = await Promise.all(
    [cutovers, recoveries].map(async (has) => {
      const { items } = await has.page({ limit: LOOKED_AT });
      return items.map((one) => ({ ...one, has }));
    }),
  );
  const newestFirst = pages
    .flat()
    .filter((one) => one.id !== id && one.targetId === targetId)
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  return ownAndOthers(newestFirst, sourceId, async (one) => ({
    durations: durationsOf((await one.has.withCommands(one.id)).commands),
    differences: machineDifferences(one.planned, planned),
  }));
}

/** What `measure` says of the last ones of the source, and of those of each other source, oldest first. */
async function ownAndOthers<T extends { sourceId: string }, M>(
  newestFirst: readonly T[],
  sourceId: string,
  measure: (one: T) => Promise<M>,
): Promise<{ own: M[]; others: M[][] }> {
  const own = newestFirst.filter((one) => one.sourceId === sourceId).slice(0, MOST_OWN);
  const others = newestFirst.filter((one) => one.sourceId !== sourceId).slice(0, MOST_OTHERS);
  const measured = (ones: readonly T[]) => Promise.all(ones.toReversed().map(measure));
  const bySource = [...Map.groupBy(others, (one) => one.sourceId).values()];
  return { own: await measured(own), others: await Promise.all(bySource.map(measured)) };
}

/** What each part took in an outage. The time in which an adaptation was computed does not count. */
export function durationsOf(commands: readonly CommandRecord[]): Durations {
  const took = secondsByCommand(commands);
  const parts = PARTS.map(({ part, commands: own }) => {
    const seconds = own.flatMap((name) => took.get(name) ?? []);
    return [part, seconds.length === own.length ? [seconds.reduce((sum, one) => sum + one, 0)] : []] as const;
  });
  return { ...Object.fromEntries(parts), ...restartOf(commands) };
}

/** Each with what the workflow took from the end of the one before to its order. */
function secondsByCommand(commands: readonly CommandRecord[]): Map<string, number> {
  const took = new Map<string, number>();
  let before: (CommandRecord & { endedAt: string }) | undefined;
  for (const command of commands.toSorted((a, b) => (a.issuedAt < b.issuedAt ? -1 : 1))) {
    const { state, endedAt, issuedAt } = command;
    const name = nameOf(command);
    if (state !== "succeeded" || endedAt === undefined || !COMMANDS.has(name) || took.has(name)) continue;
    // A recovery's source is gone: its fence waits until it comes back.
    if (command.kind === "set-fence" && ownerKind(command.ownerId) === "recovery") continue;
    // Before a second try the first one failed, which is no part of an outage as it should be.
    const isNext = before && command.attempt === 1 && !NOT_FOLLOWED.includes(nameOf(before));
    const order = isNext && before ? Math.max(0, secondsBetween(before.endedAt, issuedAt)) : 0;
    const seconds = Math.max(0, secondsBetween(issuedAt, endedAt));
    took.set(name, order + secondsInOutage(command, seconds));
    before = { ...command, endedAt };
  }
  return took;
}

function nameOf({ kind, label }: CommandRecord): string {
  return label === undefined ? kind : `${kind} ${label}`;
}

function ofParts(durations: Durations, isWanted: (part: FixedPart) => boolean): Durations {
  return Object.fromEntries(Object.entries(durations).filter(([part]) => isWanted(part as FixedPart)));
}

function together(each: readonly Durations[]): Durations {
  const parts = new Set(each.flatMap((one) => Object.keys(one) as FixedPart[]));
  return Object.fromEntries([...parts].map((part) => [part, each.flatMap((one) => one[part] ?? [])]));
}

/** Which of these seconds of a command's are in the outage. */
function secondsInOutage({ kind, output }: CommandRecord, seconds: number): number {
  switch (kind) {
    case "adapt-machine":
      // A cutover has computed the changes of its system before its outage.
      return Math.max(0, seconds - ShownAdaptation.parse(output).computeSeconds);
    case "switch-off":
      // A source that was away gets the command when it connects. The workflow has not waited until then.
      return seconds < SWITCH_OFF_ANSWER_SECONDS
        ? seconds + SWITCH_OFF_WAIT_SECONDS
        : SWITCH_OFF_ANSWER_SECONDS;
    default:
      return seconds;
  }
}
