/** Entries of systemd-boot's menu that start systems, and their order in it (src/boot/boot.c, 252 to 257). */
import { lastOf, type Setting, settingsOf } from "./settings.ts";
import { compareTexts, compareVersions } from "./version-order.ts";

export interface SystemdBootEntry {
  /** The name of its file: `NAME.conf` in `loader/entries`, or a unified kernel image's in `EFI/Linux`. */
  file: string;
  sortKey?: string | undefined;
  machineId?: string | undefined;
  version?: string | undefined;
  /** The command line of what it starts; absent where that is not known. */
  options?: string | undefined;
}

/**
 * Whether an entry's name keeps the count of attempts that its file's name has. It does in systemd-boot 252
 * and does not in 257; which of them the next start is may change with an update.
 */
export type Naming = "counted" | "plain";
export const NAMINGS: readonly Naming[] = ["counted", "plain"];

/** `NAME+LEFT-DONE.conf`, of which `-DONE` may be missing. */
const COUNT = /\+(\d+)(?:-(\d+))?(?=\.(?:conf|efi)$)/i;

/** By which a default names it. */
export function menuName({ file }: SystemdBootEntry, naming: Naming): string {
  return (naming === "counted" ? file : withoutCount(file)).toLowerCase();
}

export function withoutCount(file: string): string {
  return file.replace(COUNT, "");
}

/** How often it may still be tried; absent where its attempts are not counted. */
function countOf({ file }: SystemdBootEntry): { left: number; done: number } | undefined {
  const count = COUNT.exec(file);
  return count ? { left: Number(count[1]), done: Number(count[2] ?? 0) } : undefined;
}

/** The menu from its top. */
export function inMenuOrder(entries: readonly SystemdBootEntry[], naming: Naming): SystemdBootEntry[] {
  return entries.toSorted((a, b) => compareEntries(a, b, naming));
}

function compareEntries(a: SystemdBootEntry, b: SystemdBootEntry, naming: Naming): number {
  const [countA, countB] = [countOf(a), countOf(b)];
  const orders = [
    // Those that used up their attempts are last, however new they are.
    () => Number(countA?.left === 0) - Number(countB?.left === 0),
    () => Number(a.sortKey === undefined) - Number(b.sortKey === undefined),
    ...(a.sortKey === undefined || b.sortKey === undefined ? [] : bySortKey(a, b)),
    () => compareVersions(menuName(b, naming), menuName(a, naming)),
    () => (countA && countB ? countB.left - countA.left || countA.done - countB.done : 0),
  ];
  return orders.reduce((order, next) => order || next(), 0);
}

function bySortKey(a: SystemdBootEntry, b: SystemdBootEntry): (() => number)[] {
  return [
    () => compareTexts(a.sortKey ?? "", b.sortKey ?? ""),
    () => compareTexts(a.machineId ?? "", b.machineId ?? ""),
    () => compareVersions(b.version ?? "", a.version ?? ""),
  ];
}

/** An entry's file, and the program that it starts; `undefined` where it starts none on this machine. */
export function entryOf(
  file: string,
  text: string,
): { entry: SystemdBootEntry; program: string } | undefined {
  const settings = settingsOf(text);
  const program = programOf(settings);
  if (program === undefined) return undefined;
  const options = settings.filter(([key]) => key === "options").map(([, value]) => value);
  const entry: SystemdBootEntry = {
    file,
    sortKey: lastOf(settings, "sort-key"),
    machineId: lastOf(settings, "machine-id"),
    version: lastOf(settings, "version"),
    options: options.length > 0 ? options.join(" ") : undefined,
  };
  return { entry, program };
}

const ARCHITECTURE = "x64";

function programOf(settings: readonly Setting[]): string | undefined {
  const other = settings.find(
    ([key, value]) => key === "architecture" && value.toLowerCase() !== ARCHITECTURE,
  );
  if (other) return undefined;
  const path = settings.findLast(([key]) => key === "linux" || key === "efi")?.[1];
  return path?.replaceAll("\\", "/");
}

/** A unified kernel image, by the parts in it; `undefined` where it names no system. */
export function unifiedEntryOf(
  file: string,
  parts: { osRelease: string; commandLine: string | undefined },
): SystemdBootEntry | undefined {
  const settings = settingsOf(parts.osRelease, /=+/);
  const first = (...keys: string[]) =>
    keys.map((key) => lastOf(settings, key)).find((value) => value !== undefined);
  if (first("PRETTY_NAME", "IMAGE_ID", "NAME", "ID") === undefined) return undefined;
  return {
    file,
    sortKey: first("IMAGE_ID", "ID"),
    version: first("IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"),
    options: parts.commandLine,
  };
}
