/** Whether a source's own system may serve its clients, as its agent keeps it across restarts. */
import * as z from "zod";

export const Fence = z.object({
  /** Of the last lease that this source has learnt of. */
  term: z.int().nonnegative(),
  /** Whether its listed services stay down. */
  isUp: z.boolean(),
});
export type Fence = z.infer<typeof Fence>;

/** The lease of this term begins. A source that had this term already, and got it back, stays as it is. */
export function fencedFor(fence: Fence, term: number): Fence {
  return term > fence.term ? { term, isUp: true } : fence;
}

/** The source has the right to run again after this term. */
export function unfencedAfter(fence: Fence, term: number): Fence {
  if (term < fence.term || (term === fence.term && !fence.isUp)) return fence;
  return { term, isUp: false };
}
