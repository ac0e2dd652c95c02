import type { HookPhase, HookScript, PointHooks } from "../protocol/point-hooks.ts";

const WHEN: Record<HookPhase, string> = { before: "before the freeze", after: "after the thaw" };

/**
 * Why the copy has no `application` consistency, although its file systems were frozen; `undefined` if it
 * has. An `after` counts, too: only it can find out that what its `before` had set up did not last.
 */
export function shortfallOf({ scripts, refused }: PointHooks): string | undefined {
  if (refused !== undefined) return `no hook was run: ${refused}`;
  if (scripts.length === 0) return "the machine has no hooks";
  const failed = scripts.find(({ outcome }) => outcome !== "succeeded");
  return failed && describe(failed);
}

function describe({ hook, phase, reason, lastLine }: HookScript): string {
  const parts = [`the hook ${hook} did not succeed ${WHEN[phase]}`, reason, lastLine];
  return parts.filter((part) => part !== undefined).join(": ");
}
