/**
 * How a guest of a boot image begins: once its agent is loaded, it waits for a word before it looks at its
 * disks. Until then, it is the same whatever its disks are, and can be saved and resumed.
 */
import * as z from "zod";

/** What the guest says: that it waits, and that its disks are there. */
export const WakeMessage = z.strictObject({ wake: z.enum(["waiting", "begun"]) });
export type WakeMessage = z.infer<typeof WakeMessage>;

/** The word, with the time: the clock of a guest that is resumed shows when it was saved. */
export const Begin = z.strictObject({ wake: z.literal("begin"), atMs: z.int().nonnegative() });
export type Begin = z.infer<typeof Begin>;
