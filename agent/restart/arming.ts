import type { BootArming } from "#shared/protocol/inventory.ts";
import { type BootLoaderAdapter, MANUAL_FALLBACK } from "../boot-loaders/adapter.ts";
import type { ArmingNeed } from "../boot-loaders/arming-need.ts";

const MIB = 2 ** 20;

/** About what a boot image takes; the actual image is checked before it is staged. */
const USUAL_NEED: ArmingNeed = {
  jobId: "probe",
  kernelBytes: 10 * MIB,
  initrdBytes: 64 * MIB,
  unifiedKernelBytes: 74 * MIB,
  overlayBytes: 2 * MIB,
  // Whether the chosen image is signed is unknown here: preflight compares it with the firmware, and so does
  // each job.
  signedForSecureBoot: true,
};

/**
 * The boot loaders of this machine that could be armed, for its inventory: in order of preference, with
 * reasons. Changes nothing.
 */
export async function describeArming(adapters: readonly BootLoaderAdapter[]): Promise<BootArming[]> {
  const found: BootArming[] = [];
  for (const adapter of adapters) {
    const result = await adapter.probe(USUAL_NEED);
    found.push(
      result.usable
        ? {
            adapter: result.kind,
            possible: true,
            form: result.form,
            folder: result.folder,
            freeBytes: result.freeBytes,
          }
        : {
            adapter: result.kind,
            possible: false,
            reason: result.refusals
              .map(({ reason }) => reason)
              .join("; ")
              .slice(0, 1000),
            fallback: `${result.refusals.map(({ remedy }) => remedy).join(" ")} ${MANUAL_FALLBACK}`.slice(
              0,
              1000,
            ),
          },
    );
  }
  return found;
}
