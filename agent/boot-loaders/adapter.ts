import type { BootLoaderKind } from "#shared/protocol/boot-receipt.ts";
import { typeChoices } from "#shared/protocol/conversion-types.ts";
import type { ArmingNeed } from "./arming-need.ts";
import type { Attestation } from "./attest.ts";
import type { SavedBootState } from "./saved-state.ts";
import type { ImageForm, StagedImage } from "./staging.ts";

/** An objection to arming, and what the operator can do about it. */
export interface Finding {
  /** Fixed, for programs and translations. */
  code: string;
  reason: string;
  remedy: string;
}

/** This boot loader can be armed, and is certain to return to the original system by itself. */
export interface UsableLoader {
  usable: true;
  kind: BootLoaderKind;
  /**
   * The form in which the image must be staged, and the folder for it (absolute path): one that does not
   * exist yet, or only from this job.
   */
  form: ImageForm;
  folder: string;
  /** Free space where that folder will be. */
  freeBytes: number;
}

/**
 * It cannot, for these reasons. Starting the machine by hand from the ISO or over the network always remains:
 * `MANUAL_FALLBACK`.
 */
export interface UnusableLoader {
  usable: false;
  kind: BootLoaderKind;
  refusals: Finding[];
}

export type ProbeResult = UsableLoader | UnusableLoader;

export const MANUAL_FALLBACK = `Or start the machine from the boot image's ISO or over the network (PXE) by hand, approve the code on its screen with \`causeway approve CODE\`, and convert it with --type ${typeChoices.startedByHand}.`;

/** The job that a machine is armed for. */
export interface ArmingJob {
  jobId: string;
  savedAt: Date;
  /** For the kernel of the staged image; see `planStaging`. */
  commandLine: string;
}

/** What the next start will do. */
export interface Armed {
  kind: BootLoaderKind;
  /** The boot loader's name for the entry: a menu entry's id, `Boot0003`. */
  entry: string;
}

/**
 * Makes one boot loader start the boot environment once. The default entry never changes: after an
 * interruption at any instant, the machine starts its original system or, once armed, the boot environment
 * once and then the original system.
 *
 * In order: `probe`; `save`, and keep the result where the boot environment and the cloud can read it; stage
 * the image; `arm` just before the restart. After it, `restore` in the boot environment and `attest` in the
 * original system.
 */
export interface BootLoaderAdapter {
  readonly kind: BootLoaderKind;
  /** Changes nothing. Refuses if it cannot be sure. */
  probe(need: ArmingNeed): Promise<ProbeResult>;
  /**
   * Everything that `arm` and staging will change, as it is now and as arming will make it. Changes nothing.
   */
  save(loader: UsableLoader, job: ArmingJob): Promise<SavedBootState>;
  /**
   * Throws `BootStateChangedError`, before it changes anything, if the machine is no longer in the saved
   * state; after an interruption call `restore` first. Throws `ArmingFailedError` if what was written reads
   * back differently; call `restore` then, too.
   */
  arm(saved: SavedBootState, staged: StagedImage): Promise<Armed>;
  /**
   * Undoes only what makes the next start special: the least that can be done in a hurry. `restore` does it,
   * too.
   */
  disarm(saved: SavedBootState): Promise<void>;
  /** Undoes everything that arming wrote; see `restoreBootState`, which needs no adapter. */
  restore(saved: SavedBootState): Promise<Attestation>;
  /** Compares everything with what was saved; changes nothing. */
  attest(saved: SavedBootState): Promise<Attestation>;
}
