import type { BootMachine } from "../../machine/boot-machine.ts";
import type { VolumeMap } from "../volumes.ts";
import { ownPathOf, withGrubFiles } from "./grub-files.ts";
import { followGrub, type GrubOutcome, type GrubStart, withoutDevice } from "./grub-follow.ts";
import { grubToolsOf } from "./grub-tools.ts";
import { unknown } from "./judgement.ts";

export interface GrubReturn {
  outcome: GrubOutcome;
  /**
   * Where GRUB's environment block, `custom.cfg` and `grub.cfg` are, by this system's path; absent if that is
   * not certain.
   */
  folder: string | undefined;
  start: GrubStart | undefined;
}

/**
 * What GRUB does at each start, from every place where it may begin. Starts that lead to one configuration
 * count as one.
 */
export async function readGrub(
  machine: BootMachine,
  volumes: VolumeMap,
  starts: readonly GrubStart[],
): Promise<GrubReturn> {
  const tools = await grubToolsOf(machine);
  const outcomes: GrubOutcome[] = [];
  for (const start of starts) {
    outcomes.push(await withGrubFiles(machine, volumes, (files) => followGrub({ start, files, tools })));
  }
  const folders = [...new Set(outcomes.flatMap(({ folders: each }) => [...each]))];
  const [outcome] = outcomes;
  const [only] = folders;
  if (!outcome) throw new RangeError("GRUB starts somewhere");
  if (folders.length === 1 && only) {
    return { outcome, folder: ownPathOf(volumes, only), start: starts[0] };
  }
  if (folders.length <= 1) return { outcome, folder: undefined, start: undefined };
  const names = folders.map((folder) => (folder === null ? "an unknown one" : withoutDevice(folder)));
  const doubt = unknown(
    `it is not certain which configuration GRUB uses: ${names.join(" or ")}`,
    "Remove the grub.cfg that GRUB does not use, or move it away.",
  );
  return { outcome: { ...outcome, against: [doubt] }, folder: undefined, start: undefined };
}
