/** Follows GRUB from where the firmware starts it to what it starts. */
import { commandNamed } from "../grub-script/commands.ts";
import type { GrubFiles } from "../grub-script/files.ts";
import { GrubRun } from "../grub-script/run.ts";
import { EMPTY, type MenuEntry, type State, type Values, valuesOf } from "../grub-script/state.ts";
import { GrubSyntaxError } from "../grub-script/syntax.ts";
import { outcomeOfMenu } from "./grub-menu.ts";
import type { GrubTools } from "./grub-tools.ts";
import { attended, type Judgement, unknown } from "./judgement.ts";

/** Where GRUB begins. */
export interface GrubStart {
  platform: "pc" | "efi";
  /** `(uuid:1a2b-3c4d)/EFI/debian`: where it looks for `grub.cfg`, unless the script names another folder. */
  prefix: string;
  /** The script that is built into its core and runs first. */
  script: string;
}

export interface GrubSetting {
  start: GrubStart;
  files: GrubFiles;
  tools: GrubTools;
}

export interface GrubOutcome {
  /** What may keep it from starting a system by itself. */
  against: Judgement[];
  /** Every command line that it may start. */
  starts: (readonly string[])[];
  /** Entries that it may start by default. */
  entries: MenuEntry[];
  /** All entries of the menus that GRUB can show. */
  offered: MenuEntry[];
  /** The folders of the configurations that the menus come from, by GRUB's names; `null` if unknown. */
  folders: Set<string | null>;
  /** What may be written into the environment block on the way. */
  saved: ReadonlyMap<string, Values>;
}

/** GRUB 2.00 and newer set these; distributions' configurations test them. */
const FEATURES = [
  ...["chainloader_bpb", "ntldr", "platform_search_hint", "default_font_path", "all_video_module"],
  ...["menuentry_id", "menuentry_options", "200_final", "nativedisk_cmd", "timeout_style"],
].map((name) => `feature_${name}`);

const CPU = { pc: "i386", efi: "x86_64" } as const;
const MOST_PASSES = 4;

/**
 * What GRUB does at every start from now on: with the current environment block, and with what its own
 * configuration may have written into it by then, as after an interrupted start.
 */
export function followGrub(
  facts: GrubSetting,
  mayBeSaved: ReadonlyMap<string, Values> = new Map(),
): GrubOutcome {
  let known = mayBeSaved;
  for (let pass = 0; ; pass++) {
    const outcome = followOnce(facts, known);
    const more = union(known, outcome.saved);
    if (pass >= MOST_PASSES || sizeOf(more) === sizeOf(known)) return { ...outcome, saved: more };
    known = more;
  }
}

/** What GRUB does at the next start only. */
export function followOnce(
  { start, files, tools }: GrubSetting,
  mayBeSaved: ReadonlyMap<string, Values>,
): GrubOutcome {
  const run = new GrubRun({ files, mayBeSaved, commandNamed });
  const outcome: GrubOutcome = {
    ...{ against: [], starts: [], entries: [], offered: [], folders: new Set(), saved: new Map() },
  };
  const toLookAt = `Write GRUB's configuration again with ${tools.mkconfig}, or simplify what was written by hand.`;
  try {
    const { live, left } = run.runText(
      `${start.script}\nconfigfile "$prefix/grub.cfg"\n`,
      "GRUB's core",
      initialState(start),
    );
    if ((live.length > 0 || left) && run.menus.length === 0) {
      outcome.against.push(attended(`GRUB may find no menu at ${withoutDevice(start.prefix)}`, toLookAt));
      for (const { events } of live) {
        for (const { what } of events) outcome.against.push(unknown(what, toLookAt));
      }
    }
    const saved: State["saved"][] = [];
    for (const menu of run.menus) {
      const found = outcomeOfMenu(menu, { world: run.world, tools });
      outcome.against.push(...found.against);
      outcome.starts.push(...found.starts);
      outcome.entries.push(...found.entries);
      outcome.offered.push(...menu.entries);
      saved.push(...found.saved);
      outcome.folders.add(folderOf(menu));
    }
    for (const { starts, saved: written } of run.booted) {
      outcome.starts.push(...starts.map(({ words }) => words));
      saved.push(written);
    }
    return { ...outcome, saved: saved.reduce(union, new Map()) };
  } catch (error) {
    if (!(error instanceof GrubSyntaxError)) throw error;
    return {
      ...outcome,
      against: [unknown(`GRUB's configuration cannot be followed: ${error.message}`, toLookAt)],
      folders: new Set([null]),
    };
  }
}

function initialState({ platform, prefix }: GrubStart): State {
  const device = /^\(([^)]*)\)/.exec(prefix)?.[1] ?? "";
  const variables = {
    ...{ prefix, root: device, grub_platform: platform, grub_cpu: CPU[platform] },
    ...Object.fromEntries(FEATURES.map((name) => [name, "y"])),
  };
  const names = Object.keys(variables);
  return {
    ...EMPTY,
    variables: new Map(Object.entries(variables).map(([name, value]) => [name, new Set([value])])),
    exported: new Set([...EMPTY.exported, ...names]),
  };
}

/** The folder of its environment block and `custom.cfg`. */
function folderOf(menu: State): string | null {
  const prefixes = [...valuesOf(menu, "prefix")];
  const [prefix = null] = prefixes;
  return prefixes.length === 1 ? prefix : null;
}

function union(a: ReadonlyMap<string, Values>, b: ReadonlyMap<string, Values>): ReadonlyMap<string, Values> {
  const all = new Map(a);
  for (const [name, values] of b) all.set(name, new Set([...(all.get(name) ?? []), ...values]));
  return all;
}

function sizeOf(saved: ReadonlyMap<string, Values>): number {
  return [...saved.values()].reduce((sum, { size }) => sum + size, 0);
}

/** The path without the device in front, `(os)` or `(uuid:…)`. */
export function withoutDevice(path: string): string {
  return path.replace(/^\((?:os|uuid:[^)]*)\)/, "");
}
