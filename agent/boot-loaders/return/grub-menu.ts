/** What GRUB does with a menu while no key is pressed: how long it waits, and what it starts. */
import { GrubRun, type GrubWorld, joinedAll } from "../grub-script/run.ts";
import {
  type Event,
  isTold,
  type MenuEntry,
  type State,
  valuesOf,
  withVariable,
} from "../grub-script/state.ts";
import type { GrubTools } from "./grub-tools.ts";
import { attended, type Judgement, unknown } from "./judgement.ts";

export interface MenuFacts {
  world: GrubWorld;
  tools: GrubTools;
}

/** The result of the menu. */
export interface MenuOutcome {
  /** What may keep GRUB from starting something. */
  against: Judgement[];
  /** Every command line that it may start: `["linux", "/vmlinuz", "root=…"]`. */
  starts: (readonly string[])[];
  /** Entries that it may start, without submenus. */
  entries: MenuEntry[];
  /** What may have been written into the environment block by then. */
  saved: State["saved"][];
}

/** Longer waits count as endless: no operator expects a restart to take a quarter of an hour. */
const LONGEST_WAIT_SECONDS = 600;
const DEEPEST_MENU = 8;

/** Seconds, as GRUB parses the variable: a number in C's spelling, or endless if it is not a number. */
export function menuWaitSeconds(timeout: string | null): number | "endless" | undefined {
  if (timeout === null) return "endless";
  if (!isTold(timeout)) return undefined;
  const [, hexadecimal, octal, decimal = ""] =
    /^\s*(?:0x([0-9a-fA-F]*)|0(?=[0-7])([0-7]+)|(\d+))/.exec(timeout) ?? [];
  const seconds =
    hexadecimal !== undefined
      ? Number.parseInt(hexadecimal, 16)
      : octal !== undefined
        ? Number.parseInt(octal, 8)
        : Number.parseInt(decimal, 10);
  // It becomes a signed number of 32 bits.
  return Number.isNaN(seconds) || seconds > 0x7fffffff ? "endless" : seconds;
}

export function outcomeOfMenu(menu: State, facts: MenuFacts, depth = 0): MenuOutcome {
  const outcome: MenuOutcome = { against: [], starts: [], entries: [], saved: [menu.saved] };
  outcome.against.push(...menu.events.map((event) => ofEvent(event, facts)));
  if (menu.events.some(({ kind }) => kind === "stops")) return outcome;
  if (depth > DEEPEST_MENU) {
    outcome.against.push(unknown("GRUB's menus are nested too deeply to be followed", whatToLookAt(facts)));
    return outcome;
  }
  outcome.against.push(...ofTimeout(menu, facts));
  if (menu.entries.length === 0) {
    outcome.against.push(attended("GRUB's configuration has no menu entry to start", whatToLookAt(facts)));
  }
  for (const { entry, rest } of defaultsOf(menu)) {
    outcome.against.push(...ofPassword(entry, menu));
    add(
      outcome,
      entry.isSubmenu ? ofSubmenu(entry, rest, menu, facts, depth) : ofEntry(entry, menu, facts, depth),
    );
  }
  return outcome;
}

function add(all: MenuOutcome, more: MenuOutcome): void {
  all.against.push(...more.against);
  all.starts.push(...more.starts);
  all.entries.push(...more.entries);
  all.saved.push(...more.saved);
}

function ofEvent({ kind, what, certain }: Event, facts: MenuFacts): Judgement {
  if (kind === "untold")
    return unknown(`GRUB's configuration cannot be followed: ${what}`, whatToLookAt(facts));
  const reason =
    kind === "stops" ? `GRUB's configuration leaves GRUB by \`${what}\`, without starting a system` : what;
  return (certain ? attended : unknown)(reason, whatToLookAt(facts));
}

function whatToLookAt({ tools }: MenuFacts): string {
  return `Remove what waits or leaves from GRUB's configuration (/etc/grub.d, custom.cfg), and write it again with ${tools.mkconfig}.`;
}

function ofTimeout(menu: State, { tools }: MenuFacts): Judgement[] {
  const remedy = `Set GRUB_TIMEOUT (and GRUB_RECORDFAIL_TIMEOUT) to some seconds in /etc/default/grub, and write the configuration again with ${tools.mkconfig}.`;
  const values = [...valuesOf(menu, "timeout")];
  return values.flatMap((value) => {
    const seconds = menuWaitSeconds(value);
    const is = values.length === 1 ? "waits" : "may wait";
    if (seconds === undefined) return [unknown("it is not known how long GRUB's menu waits", remedy)];
    if (seconds === "endless") {
      const spelling = value === null ? "no timeout is set" : `timeout is "${value}"`;
      return [attended(`GRUB's menu ${is} for a key without end: ${spelling}`, remedy)];
    }
    const all = seconds + menu.sleepSeconds;
    return all > LONGEST_WAIT_SECONDS
      ? [attended(`GRUB ${is} ${all} seconds before it starts anything`, remedy)]
      : [];
  });
}

function ofPassword({ title, users, certain }: MenuEntry, menu: State): Judgement[] {
  const superusers = [...valuesOf(menu, "superusers")];
  if (users === undefined || superusers.every((value) => value === null)) return [];
  const isSure = certain && superusers.every((value) => value !== null);
  return [
    (isSure ? attended : unknown)(
      `GRUB asks for a user's name and password before it starts "${title}"`,
      "Let every user start that entry (--unrestricted in /etc/grub.d, or no grub_users), or remove the password for the time of the conversion.",
    ),
  ];
}

/** GRUB runs a submenu's commands on their own, and starts its default at once. */
function ofSubmenu(
  entry: MenuEntry,
  rest: string | null,
  menu: State,
  facts: MenuFacts,
  depth: number,
): MenuOutcome {
  const exported = new Map([...menu.variables].filter(([name]) => menu.exported.has(name)));
  const own: State = {
    ...menu,
    variables: exported,
    entries: [],
    events: [],
    starts: [],
    parameters: entry.parameters,
  };
  const timed = withVariable(withVariable(own, "timeout", new Set(["0"])), "default", new Set([rest]));
  const run = new GrubRun(facts.world);
  const { live, left } = run.run(entry.commands, timed);
  const end = joinedAll(left ? [...live, left] : live);
  return together([...(end ? [end] : []), ...run.menus].map((each) => outcomeOfMenu(each, facts, depth + 1)));
}

function ofEntry(entry: MenuEntry, menu: State, facts: MenuFacts, depth: number): MenuOutcome {
  const chosen = withVariable(menu, "chosen", new Set([entry.id ?? entry.title]));
  const run = new GrubRun(facts.world);
  const { live, left } = run.run(entry.commands, {
    ...chosen,
    events: [],
    starts: [],
    parameters: entry.parameters,
  });
  const ends = [...live, ...(left ? [left] : []), ...run.booted];
  const own: MenuOutcome = { against: [], starts: [], entries: [entry], saved: [] };
  for (const end of ends) {
    own.against.push(...end.events.map((event) => ofEvent(event, facts)));
    own.starts.push(...end.starts.map(({ words }) => words));
    own.saved.push(end.saved);
  }
  if (ends.length > 0 && own.starts.length === 0) {
    own.against.push(attended(`the entry "${entry.title}" starts nothing`, whatToLookAt(facts)));
  }
  return together([own, ...run.menus.map((each) => outcomeOfMenu(each, facts, depth + 1))]);
}

function together(outcomes: readonly MenuOutcome[]): MenuOutcome {
  const all: MenuOutcome = { against: [], starts: [], entries: [], saved: [] };
  for (const each of outcomes) add(all, each);
  return all;
}

/** Every entry that may be the default, with the rest of the path that names an entry of its submenu. */
function defaultsOf({ entries, variables }: State): { entry: MenuEntry; rest: string | null }[] {
  const found = new Map<MenuEntry, string | null>();
  for (const value of valuesOf({ variables }, "default")) {
    for (const [entry, rest] of namedBy(value, entries)) found.set(entry, rest);
  }
  return [...found].map(([entry, rest]) => ({ entry, rest }));
}

function namedBy(value: string | null, entries: readonly MenuEntry[]): [MenuEntry, string | null][] {
  const everyone = (): [MenuEntry, string | null][] => entries.map((entry) => [entry, null]);
  const isSettled = entries.every(({ certain }) => certain);
  const [first] = entries;
  const fallback = (): [MenuEntry, string | null][] => (isSettled && first ? [[first, null]] : everyone());
  if (value === null) return fallback();
  if (!isTold(value)) return everyone();
  const { head, rest } = splitPath(value);
  const named = entries.filter(({ title, id }) => title === head || id === head);
  const number = /^\s*(\d+)(.*)$/s.exec(head);
  const byNumber = (): [MenuEntry, string | null][] => {
    const entry = entries[Number(number?.[1])];
    if (!isSettled) return everyone();
    return entry ? [[entry, rest]] : fallback();
  };
  const byName = (): [MenuEntry, string | null][] => {
    const certain = named.find((each) => each.certain);
    const until = certain ? named.slice(0, named.indexOf(certain) + 1) : named;
    const matches = until.map((entry): [MenuEntry, string | null] => [entry, rest]);
    return certain ? matches : [...fallback(), ...matches];
  };
  if (!number) return byName();
  // Some versions use the number that a name begins with, others the name.
  return number[2] === "" ? byNumber() : [...byNumber(), ...(named.length > 0 ? byName() : [])];
}

/** `a>b>c` is a path through submenus; `>>` is a `>` within a name. */
function splitPath(value: string): { head: string; rest: string | null } {
  const at = /(?<!>)>(?!>)/.exec(value)?.index;
  const head = (at === undefined ? value : value.slice(0, at)).replaceAll(">>", ">");
  return { head, rest: at === undefined ? null : value.slice(at + 1) };
}
