/** What a recovery point says of the hooks that ran around its consistent view. */
import * as z from "zod";

/** The most hooks that one machine runs. */
export const MOST_HOOKS = 16;

/** The name of a hook's folder. */
export const HookName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/** `before`: shortly before the file systems are frozen. `after`: after they are thawed. */
export const HookPhase = z.enum(["before", "after"]);
export type HookPhase = z.infer<typeof HookPhase>;

/** `not-run`: it could not be started; the reason says why. */
export const HookOutcome = z.enum(["succeeded", "failed", "timed-out", "not-run"]);
export type HookOutcome = z.infer<typeof HookOutcome>;

const Words = z.string().min(1).max(200);

/** One script of a hook, and how it ended. */
export const HookScript = z.object({
  hook: HookName,
  phase: HookPhase,
  outcome: HookOutcome,
  seconds: z.number().nonnegative(),
  /** Why it did not succeed. */
  reason: Words.optional(),
  /** The last line that it wrote, if it did not succeed. */
  lastLine: Words.optional(),
});
export type HookScript = z.infer<typeof HookScript>;

export const PointHooks = z.object({
  /** In the order in which they ran; none if the machine has no hooks. */
  scripts: z.array(HookScript).max(2 * MOST_HOOKS),
  /** Why no hook was run, although there may be some. */
  refused: Words.optional(),
});
export type PointHooks = z.infer<typeof PointHooks>;
