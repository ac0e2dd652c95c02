/** The files that GRUB reads, by GRUB's names for them: `(uuid:0d6d4c5e-…)/grub/grub.cfg`. */
import type { PathKind } from "./condition.ts";
import { isTold, type State, valuesOf } from "./state.ts";

export type GrubFile =
  | { kind: "file"; bytes: Buffer }
  | { kind: "folder"; names: readonly string[] }
  | { kind: "absent" };

/** `undefined`: the content is unknown. */
export type GrubFiles = (device: string, path: string) => GrubFile | undefined;

export function uuidDevice(uuid: string): string {
  return `uuid:${uuid.toLowerCase()}`;
}

/** Looks up a path that a script names. */
export function lookAt(files: GrubFiles, state: State, path: string): GrubFile | undefined {
  const [, named, rest = path] = /^\(([^)]*)\)(.*)$/s.exec(path) ?? [];
  const roots = [...valuesOf(state, "root")];
  const device = named ?? (roots.length === 1 ? roots[0] : undefined);
  if (!device || !isTold(device) || !isTold(rest) || !rest.startsWith("/")) return undefined;
  return files(device, rest.replaceAll(/\/+/g, "/"));
}

export function kindOf(file: GrubFile | undefined): PathKind {
  if (file?.kind === "file" && file.bytes.length === 0) return "empty-file";
  return file?.kind;
}
