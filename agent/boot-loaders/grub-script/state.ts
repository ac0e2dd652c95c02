/**
 * What GRUB may know at one point of a script, if not every condition can be decided here: sets of
 * possibilities.
 */
import type { ScriptCommand } from "./syntax.ts";

/** Stands in a text for something unknown: what a person types, a device's name, a result of the firmware. */
export const UNTOLD = "\0";
/** Every value that a variable can have; `null` if it can be unset. */
export type Values = ReadonlySet<string | null>;

const MOST_VALUES = 8;
const UNSET: Values = new Set([null]);

export interface MenuEntry {
  title: string;
  id: string | undefined;
  /** Who may start it if superusers are set; `undefined` means every user. */
  users: string | undefined;
  isSubmenu: boolean;
  commands: readonly ScriptCommand[];
  /** What its commands get as `$1` and so on. */
  parameters: readonly string[];
  /** False if only some way through the script adds it. */
  certain: boolean;
}

/** Something that a script does on the way, and that may need a person. */
export interface Event {
  kind: "asks" | "stops" | "starts" | "untold";
  /** As text: `read waits for a line`. */
  what: string;
  /** False if only some way through the script does it. */
  certain: boolean;
}

/** A command that loads or leaves: `["linux", "/vmlinuz", "root=…"]`. */
export interface Start {
  words: readonly string[];
}

export interface State {
  variables: ReadonlyMap<string, Values>;
  exported: ReadonlySet<string>;
  functions: ReadonlyMap<string, readonly ScriptCommand[]>;
  entries: readonly MenuEntry[];
  events: readonly Event[];
  starts: readonly Start[];
  /** What is written into the environment block, by variable. */
  saved: ReadonlyMap<string, Values>;
  /** The status of the last command; `undefined` if unknown. */
  status: boolean | undefined;
  parameters: readonly string[];
  /** The most that is spent before the menu. */
  sleepSeconds: number;
}

export const EMPTY: State = {
  variables: new Map(),
  exported: new Set(["root", "prefix", "cmdpath", "pager", "lang", "config_directory", "config_file"]),
  functions: new Map(),
  entries: [],
  events: [],
  starts: [],
  saved: new Map(),
  status: true,
  parameters: [],
  sleepSeconds: 0,
};

export function valuesOf(state: Pick<State, "variables">, name: string): Values {
  return state.variables.get(name) ?? UNSET;
}

export function withVariable(state: State, name: string, values: Values): State {
  return { ...state, variables: new Map(state.variables).set(name, bounded(values)) };
}

export function isTold(text: string): boolean {
  return !text.includes(UNTOLD);
}

/** The state at a point that is reached by either way through the script. */
export function joined(a: State | undefined, b: State | undefined): State | undefined {
  if (!a || !b || a === b) return a ?? b;
  return {
    variables: joinedValues(a.variables, b.variables),
    exported: new Set([...a.exported, ...b.exported]),
    functions: new Map([...a.functions, ...b.functions]),
    entries: joinedList(a.entries, b.entries),
    events: joinedList(a.events, b.events),
    starts: a.starts === b.starts ? a.starts : [...new Set([...a.starts, ...b.starts])],
    saved: joinedSaved(a.saved, b.saved),
    status: a.status === b.status ? a.status : undefined,
    parameters: a.parameters,
    sleepSeconds: Math.max(a.sleepSeconds, b.sleepSeconds),
  };
}

function bounded(values: Values): Values {
  return values.size > MOST_VALUES ? new Set([UNTOLD, ...(values.has(null) ? [null] : [])]) : values;
}

function joinedValues(a: State["variables"], b: State["variables"]): State["variables"] {
  const all = new Map<string, Values>();
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    all.set(name, bounded(new Set([...(a.get(name) ?? UNSET), ...(b.get(name) ?? UNSET)])));
  }
  return all;
}

/** What one way does not save stays as it is, so it adds nothing. */
function joinedSaved(a: State["saved"], b: State["saved"]): State["saved"] {
  const all = new Map(a);
  for (const [name, values] of b) all.set(name, bounded(new Set([...(a.get(name) ?? []), ...values])));
  return all;
}

/** What both had before they parted stays certain; what only one has added is not. */
function joinedList<T extends { certain: boolean }>(a: readonly T[], b: readonly T[]): readonly T[] {
  if (a === b) return a;
  let common = 0;
  while (common < a.length && common < b.length && a[common] === b[common]) common++;
  const added = [...a.slice(common), ...b.slice(common)].map((each) => ({ ...each, certain: false }));
  return [...a.slice(0, common), ...added];
}
