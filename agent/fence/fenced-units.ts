/** Which units a fence of services concerns, as systemd knows them. */
import * as z from "zod";
import { failureOf } from "#shared/errors.ts";
import type { Systemctl } from "../hypervisor/qemu/service/systemctl.ts";
import { type ShownUnit, shownUnits } from "./shown-units.ts";

/** The name of any unit, unless a program could take it for an option. */
export const UnitName = z.string().regex(/^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,240}\.[a-z]+$/);

export interface FencedUnits {
  /**
   * What is kept down: the given services, also by their own names where an alias was given, with all their
   * parts, and before them the sockets and paths that would start one of them.
   */
  kept: string[];
  /** Others, which systemd stops together with those, and which it does not start again by itself. */
  dependents: string[];
  /** Why systemd did not tell what a unit belongs to, or which name is not understood. */
  failures: Map<string, string>;
}

/** The relations by which the stop of a unit also stops another one, and those that start it. */
const STOPPED_WITH = ["ConsistsOf", "RequiredBy", "RequisiteOf", "BoundBy", "PropagatesStopTo"] as const;
const RELATIONS = [...STOPPED_WITH, "TriggeredBy"] as const;
/** What systemd calls it: of a unit that has other names, only drop-ins for this one always count. */
const OWN_NAME = "Id";
const TOLD = [OWN_NAME, ...RELATIONS] as const;
type Relations = Record<(typeof TOLD)[number], string[]>;

/** Of these kinds are the units that a client, or the host's start, would start. */
const KEPT = /\.(service|socket|path)$/;
const TRIGGER = /\.(socket|path)$/;
/** A timer that finds its service kept down waits for its next time; a socket that does fails. */
const STARTABLE = /\.(service|socket|path|timer|target|mount)$/;

/**
 * Finds the parts of these services at any depth: those with `PartOf=` one of them, such as
 * `postgresql@15-main.service` of Debian's `postgresql.service`. At the host's start, systemd starts a part
 * even if a condition holds back the service that it is a part of. And finds what else stops with them.
 */
export async function fencedUnits(services: readonly string[], systemctl: Systemctl): Promise<FencedUnits> {
  const failures = new Map<string, string>();
  const kept = new Set(services);
  const stopped = new Set<string>();
  for await (const relations of eachRelations(kept, systemctl, failures)) {
    const { ConsistsOf, TriggeredBy, Id } = relations;
    for (const one of Id) if (KEPT.test(one)) kept.add(one);
    for (const one of ConsistsOf) if (KEPT.test(one)) kept.add(one);
    for (const one of TriggeredBy) if (TRIGGER.test(one)) kept.add(one);
    for (const one of stoppedWith(relations)) stopped.add(one);
  }
  const dependents = new Set([...stopped].filter((unit) => !kept.has(unit)));
  for await (const relations of eachRelations(dependents, systemctl, failures))
    for (const one of stoppedWith(relations)) if (!kept.has(one)) dependents.add(one);
  const isTrigger = (unit: string) => TRIGGER.test(unit);
  return {
    kept: [...[...kept].filter(isTrigger), ...[...kept].filter((unit) => !isTrigger(unit))],
    dependents: [...dependents].filter((unit) => STARTABLE.test(unit)),
    failures,
  };
}

const stoppedWith = (relations: Relations): string[] =>
  STOPPED_WITH.flatMap((relation) => relations[relation]);

/**
 * The relations of these units, and of those that are added to the set meanwhile. What is not understood, or
 * not told, becomes a failure, and is left out.
 */
async function* eachRelations(
  units: ReadonlySet<string>,
  systemctl: Systemctl,
  failures: Map<string, string>,
): AsyncGenerator<Relations> {
  for (let asked = 0; asked < units.size; ) {
    const next = [...units].slice(asked);
    asked = units.size;
    for (const [unit, shown] of await shownUnits(next, TOLD, systemctl))
      if (shown instanceof Error) failures.set(unit, failureOf(shown).message);
      else yield relationsOf(unit, shown, failures);
  }
}

function relationsOf(unit: string, shown: ShownUnit, failures: Map<string, string>): Relations {
  const namesIn = (relation: (typeof TOLD)[number]) =>
    (shown.get(relation) ?? "").split(/\s+/).flatMap((word) => {
      const name = unquoted(word);
      if (UnitName.safeParse(name).success) return [name];
      if (name !== "")
        failures.set(name, `it stops with ${unit} or starts it, and its name is not understood`);
      return [];
    });
  return Object.fromEntries(TOLD.map((relation) => [relation, namesIn(relation)])) as Relations;
}

/** systemctl shows a name that has a backslash in quotes, as a shell would take it. */
function unquoted(word: string): string {
  return /^".*"$/.test(word) ? word.slice(1, -1).replace(/\\(.)/g, "$1") : word;
}

/**
 * Starts it, after those that it needs. Of a target only itself: what ran under it is started by name, and
 * what the administrator stopped stays down.
 */
export async function startUnit(unit: string, systemctl: Systemctl): Promise<void> {
  await systemctl("start", ...(unit.endsWith(".target") ? ["--job-mode=ignore-dependencies"] : []), unit);
}
