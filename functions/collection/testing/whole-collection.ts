import { type CollectDeps, type Collected, collectSlice, type Slice } from "../collect.ts";

const MOST_SLICES = 1000;

/** All slices of one collection of a source's garbage. */
export async function wholeCollection(
  collection: Omit<Slice, "number">,
  deps: CollectDeps,
): Promise<Collected> {
  for (let number = 0; number < MOST_SLICES; number++) {
    const collected = await collectSlice({ ...collection, number }, deps);
    if (collected) return collected;
  }
  throw new Error("it never ends");
}
