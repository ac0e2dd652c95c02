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
import type { Store } from "../store/store.ts";

/** Older ones say little about the source and the target host as they are. */
const MOST_MACHINES = 5;
const LOOKED_AT = 100;

/** The command whose time each part of an outage is, from its order to its result. */
const PARTS: readonly { part: FixedPart; command: string }[] = [
  { part: "quiesce", command: "set-fence up" },
  { part: "clone", command: "clone-standby" },
  { part: "adapt", command: "adapt-machine" },
  { part: "define", command: "define-machine" },
  { part: "boot", command: "bring-up-machine" },
  { part: "switch-off", command: "switch-off" },
  { part: "connect", command: "connect-machine" },
  { part: "answer", command: "bring-up-machine connected" },
];

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
): Promise<Pick<CutoverHistory, "durations" | "otherMachine" | "elsewhere">> {
  const { own, others } = await lastMachines(cutover, store);
  const alike = own.map(({ durations, differences }) =>
    differences.length === 0 ? durations : ofParts(durations, (part) => !MACHINE_PARTS.has(part)),
  );
  const unlike = own.filter(({ differences }) => differences.length > 0);
  return {
    durations: together(alike),
    otherMachine: {
      durations: together(
        unlike.map(({ durations }) => ofParts(durations, (part) => MACHINE_PARTS.has(part))),
      ),
      differences: [...new Set(unlike.flatMap(({ differences }) => differences))],
    },
    elsewhere: together(others.map(({ durations }) => durations)),
  };
}

/** Oldest first. */
async function lastMachines(
  { id, sourceId, targetId, planned }: CutoverRecord,
  { cutovers, recoveries }: Store,
): Promise<{ own: Made[]; others: Made[] }> {
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
  const measured = (isOwn: boolean) => {
    const last = newestFirst.filter((one) => (one.sourceId === sourceId) === isOwn).slice(0, MOST_MACHINES);
    return Promise.all(
      last.reverse().map(async (one) => ({
        durations: durationsOf((await one.has.withCommands(one.id)).commands),
        differences: machineDifferences(one.planned, planned),
      })),
    );
  };
  return { own: await measured(true), others: await measured(false) };
}

function durationsOf(commands: readonly CommandRecord[]): Durations {
  return Object.fromEntries(PARTS.map(({ part, command }) => [part, secondsOf(commands, command)]));
}

function ofParts(durations: Durations, isWanted: (part: FixedPart) => boolean): Durations {
  return Object.fromEntries(Object.entries(durations).filter(([part]) => isWanted(part as FixedPart)));
}

function together(each: readonly Durations[]): Durations {
  return Object.fromEntries(PARTS.map(({ part }) => [part, each.flatMap((one) => one[part] ?? [])]));
}

function secondsOf(commands: readonly CommandRecord[], wanted: string): number[] {
  const found = commands.find(
    ({ kind, label, state }) => state === "succeeded" && [kind, label].filter(Boolean).join(" ") === wanted,
  );
  // A recovery's source is gone: its fence waits until it comes back.
  if (found?.kind === "set-fence" && ownerKind(found.ownerId) === "recovery") return [];
  if (found?.endedAt === undefined) return [];
  const seconds = Math.max(0, Date.parse(found.endedAt) - Date.parse(found.issuedAt)) / 1000;
  return [secondsInOutage(found, seconds)];
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
