import { z } from "zod";
import { Sha256 } from "#shared/protocol/boot-image.ts";
import { MOST_CHANGES, WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { AttachedDisk, FileChange } from "./messages.ts";

/**
 * What adapts one system to one machine. It can be applied to any copy of that system on which all inputs are
 * the same. The new contents of files are beside it, named by their SHA-256.
 */
export const AdaptationRecord = z.strictObject({
  disks: z.array(AttachedDisk).min(1).max(256),
  wanted: WantedMachine,
  inputs: z.record(z.string().min(1).max(4096), Sha256),
  changes: z.array(FileChange).max(MOST_CHANGES),
  commands: z.array(z.strictObject({ command: z.string(), why: z.array(z.string()), seconds: z.number() })),
  notes: z.array(z.string()),
});
export type AdaptationRecord = z.infer<typeof AdaptationRecord>;
