/** Which entry systemd-boot starts while no key is pressed (src/boot/boot.c, 252 to 257). */
import { inMenuOrder, menuName, type Naming, type SystemdBootEntry } from "./entry.ts";
import { fitsPattern } from "./pattern.ts";
import { type Setting, settingsOf } from "./settings.ts";

export interface Menu {
  entries: readonly SystemdBootEntry[];
  /** Names of those that it makes itself, `auto-…`: other boot loaders, the firmware's setup. */
  automatic: readonly string[];
}

/** What names an entry. */
export interface Wishes {
  /** `loader/loader.conf`; empty where there is none. */
  configuration: string;
  /** `LoaderEntryOneShot`: for the next start only. */
  oneShot?: string | undefined;
  /** `LoaderEntryDefault`. */
  defaultVariable?: string | undefined;
  /** `LoaderEntryLastBooted`: what `@saved` stands for. */
  lastBooted?: string | undefined;
}

export type Choice =
  | { kind: "entry"; entry: SystemdBootEntry }
  | { kind: "automatic"; name: string }
  /** No system is in the menu: it is shown, and then its first line is started. */
  | { kind: "none" };

const SAVED = "@saved";

export function chosenEntry(menu: Menu, wishes: Wishes, naming: Naming): Choice {
  const entries = inMenuOrder(menu.entries, naming);
  for (const pattern of patternsOf(wishes)) {
    const entry = entries.find((each) => fitsPattern(pattern, menuName(each, naming)));
    if (entry) return { kind: "entry", entry };
    const name = menu.automatic.find((each) => fitsPattern(pattern, each));
    if (name !== undefined) return { kind: "automatic", name };
  }
  return entries[0] ? { kind: "entry", entry: entries[0] } : { kind: "none" };
}

/** The first of these that fits an entry counts; a default that fits none is passed over. */
function patternsOf({ configuration, oneShot, defaultVariable, lastBooted }: Wishes): string[] {
  const saved = (wanted: string | undefined) => (wanted?.toLowerCase() === SAVED ? lastBooted : wanted);
  return [oneShot, saved(defaultVariable), saved(configuredDefault(settingsOf(configuration)))].flatMap(
    (pattern) => (pattern === undefined ? [] : [pattern.toLowerCase()]),
  );
}

/** A line with another special name is not taken. */
function configuredDefault(settings: readonly Setting[]): string | undefined {
  return settings.findLast(
    ([key, value]) => key === "default" && (!value.startsWith("@") || value.toLowerCase() === SAVED),
  )?.[1];
}
