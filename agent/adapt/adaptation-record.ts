import * as z from "zod";
import { Sha256 } from "#shared/protocol/boot-image.ts";
import { MOST_CHANGES, SourceDiskIdentity, WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { GuestAnswerInvalidError } from "../browse/errors.ts";
import { FileChange, RanProgram } from "./messages.ts";

/** Files, initramfs images and lists of one system; a few hundred are usual. */
const MOST_INPUTS = 20_000;

/**
 * What adapts one system to one machine. It can be applied to any copy of that system on which all inputs are
 * the same. The new contents of files are beside it, named by their SHA-256.
 */
export const AdaptationRecord = z.strictObject({
  disks: z.array(SourceDiskIdentity).min(1).max(256),
  wanted: WantedMachine,
  inputs: z.record(z.string().min(1).max(4096), Sha256),
  changes: z.array(FileChange).max(MOST_CHANGES),
  commands: z.array(RanProgram),
  notes: z.array(z.string()),
});
export type AdaptationRecord = z.infer<typeof AdaptationRecord>;

/** Takes what the guest names. Throws `GuestAnswerInvalidError` for a name it gave before, or too many. */
export function addInputs(
  { inputs }: Pick<AdaptationRecord, "inputs">,
  named: readonly (readonly [name: string, sha256: string])[],
): void {
  for (const [name, sha256] of named) {
    if (Object.hasOwn(inputs, name)) throw new GuestAnswerInvalidError("it names an input twice");
    Object.defineProperty(inputs, name, { value: sha256, enumerable: true });
  }
  if (Object.keys(inputs).length > MOST_INPUTS)
    throw new GuestAnswerInvalidError("it names more inputs than a system has");
}
