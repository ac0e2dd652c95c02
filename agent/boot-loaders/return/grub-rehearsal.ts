/** What GRUB would do at one start if it were armed, by its own configuration. */
import type { BootMachine } from "../../machine/boot-machine.ts";
import { appendGrubEntry } from "../grub-entry.ts";
import type { GrubFiles } from "../grub-script/files.ts";
import type { Values } from "../grub-script/state.ts";
import type { VolumeMap } from "../volumes.ts";
import { grubPathOf, withGrubFiles } from "./grub-files.ts";
import { followOnce, type GrubStart } from "./grub-follow.ts";
import { grubToolsOf } from "./grub-tools.ts";

export interface GrubRehearsal {
  /** The entry is in the menu. */
  isOffered: boolean;
  /** GRUB clears it before it starts anything. */
  isCleared: boolean;
  /** Titles of what may be started as well or instead. */
  others: string[];
}

export interface Arming {
  start: GrubStart | undefined;
  /** What the environment block may contain besides. */
  saved: ReadonlyMap<string, Values>;
  id: string;
  /** Paths of this system. */
  appended: { path: string; text: string };
  replaced: { path: string; bytes: Buffer };
}

const NEXT_ENTRY = "next_entry";

/** Returns `undefined` if it is not known where GRUB begins. Writes nothing. */
export async function rehearse(
  machine: BootMachine,
  volumes: VolumeMap,
  { start, saved, id, appended, replaced }: Arming,
): Promise<GrubRehearsal | undefined> {
  if (!start) return undefined;
  const tools = await grubToolsOf(machine);
  const mayBeSaved = new Map([...saved].filter(([name]) => name !== NEXT_ENTRY));
  const pathOf = (device: string, path: string) => `(${device})${path}`;
  const changedPaths = [appended, replaced].map(({ path }) => grubPathOf(volumes, path));
  return withGrubFiles(machine, volumes, (files) => {
    const armed: GrubFiles = (device, path) => {
      const found = files(device, path);
      const at = changedPaths.indexOf(pathOf(device, path));
      if (at < 0) return found;
      if (at === 1) return { kind: "file", bytes: replaced.bytes };
      const existing = found?.kind === "file" ? found.bytes : Buffer.alloc(0);
      return { kind: "file", bytes: appendGrubEntry(existing, appended.text) };
    };
    const outcome = followOnce({ start, files: armed, tools }, mayBeSaved);
    const cleared = outcome.saved.get(NEXT_ENTRY);
    return {
      isOffered: outcome.offered.some((entry) => entry.id === id),
      isCleared: cleared !== undefined && [...cleared].every((value) => value === null || value === ""),
      others: [...new Set(outcome.entries.filter((entry) => entry.id !== id).map(({ title }) => title))],
    };
  });
}
