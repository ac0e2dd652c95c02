import { ArmingRefusedError } from "#shared/errors.ts";
import {
  type BootLoaderAdapter,
  MANUAL_FALLBACK,
  type UnusableLoader,
  type UsableLoader,
} from "./adapter.ts";
import type { ArmingNeed } from "./arming-need.ts";

export interface ChosenLoader {
  adapter: BootLoaderAdapter;
  loader: UsableLoader;
  /** The boot loaders that come first in order of preference, and why they were not chosen. */
  passedOver: UnusableLoader[];
}

/**
 * The first in order of preference that can be armed. Throws `ArmingRefusedError` with every reason of every
 * boot loader if none can.
 */
export async function chooseLoader(
  adapters: readonly BootLoaderAdapter[],
  need: ArmingNeed,
): Promise<ChosenLoader> {
  const passedOver: UnusableLoader[] = [];
  for (const adapter of adapters) {
    const loader = await adapter.probe(need);
    if (loader.usable) return { adapter, loader, passedOver };
    passedOver.push(loader);
  }
  throw new ArmingRefusedError(
    passedOver.flatMap(({ kind, refusals }) => refusals.map((each) => ({ loader: kind, ...each }))),
    MANUAL_FALLBACK,
  );
}
