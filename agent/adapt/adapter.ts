import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import type { CapturedSystem } from "./captured-system.ts";

/** One file as it has to be. */
export interface FileEdit {
  path: string;
  /** Absent to remove it. */
  after?: Buffer | undefined;
  /** For people: what would go wrong otherwise. */
  why: string;
}

export interface Adaptation {
  edits?: readonly FileEdit[];
  /** Why the initramfs of these kernels has to be built again; of all kernels if none are named. */
  rebuild?: readonly { why: string; kernels?: readonly string[] }[];
  /** Programs of the system itself that run after the edits. */
  run?: readonly (readonly [string, ...string[]])[];
  /** What an operator has to look after, because it cannot be adapted. */
  notes?: readonly string[];
}

/** A system as the adapters before left it. */
export interface AdaptedSystem extends CapturedSystem {
  /** The paths of files that they added. */
  added: readonly string[];
}

/** Adapts one thing. Pure: what it does not see in `system` does not exist. */
export interface Adapter {
  /** Patterns of the paths that it wants to see; see `pathPattern`. */
  reads: readonly string[];
  adapt(system: AdaptedSystem, wanted: WantedMachine): Adaptation;
}

/** An edit of a file's text, in the form of `textOf`; none if the text stays as it is. */
export function textEdit(path: string, before: string, after: string, why: string): FileEdit[] {
  return before === after ? [] : [{ path, after: Buffer.from(after, "latin1"), why }];
}
