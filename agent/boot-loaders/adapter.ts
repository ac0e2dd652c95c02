import { typeChoices } from "#shared/protocol/conversion-types.ts";
import type { ArmingNeed } from "./arming-need.ts";
import type { Attestation } from "./attest.ts";
import type { BootLoaderKind, SavedBootState } from "./saved-state.ts";
import type { ImageForm, StagedImage } from "./staging.ts";

/** Something that speaks against arming, and what the operator can do about it. */
export interface Finding {
  /** Literal, for programs and translations. */
  code: string;
  reason: string;
  remedy: string;
}

/** This boot loader can be armed so that it surely comes back by itself. */
export interface UsableLoader {
  usable: true;
  kind: BootLoaderKind;
  /**
   * In which form the image must be staged, and in which folder (absolute path): one that does not exist yet,
   * or only from this job.
   */
  form: ImageForm;
  folder: string;
  /** Where that folder is to be. */
  freeBytes: number;
}

/**
 * It cannot, for these reasons. What always remains is to boot the ISO or over the network by hand:
 * `MANUAL_FALLBACK`.
 */
export interface UnusableLoader {
  usable: false;
  kind: BootLoaderKind;
  refusals: Finding[];
}

export type ProbeResult = UsableLoader | UnusableLoader;

export const MANUAL_FALLBACK = `Or start the machine from the boot image's ISO or over the network (PXE) by hand, approve the code on its screen with \`causeway approve CODE\`, and convert it with --type ${typeChoices.startedByHand}.`;

/** For whom a machine is armed. */
export interface ArmingJob {
  jobId: string;
  savedAt: Date;
  /** For the kernel of the staged image; see `planStaging`. */
  commandLine: string;
}

/** What the next start will do. */
export interface Armed {
  kind: BootLoaderKind;
  /** What the boot loader calls the entry: a menu entry's id, `Boot0003`. */
  entry: string;
}

/**
 * One boot loader, made to start the boot environment once. The default entry is never changed: whatever is
 * interrupted, at any instant, the machine starts its original system, or, once armed, the boot environment
 * once and then the original system.
 *
 * In order: `probe`, `save` (and keep the result where the boot environment and the cloud can read it), stage
 * the image, `arm` just before the reboot, and after it `restore` in the boot environment and `attest` in the
 * original system.
 */
export interface BootLoaderAdapter {
  readonly kind: BootLoaderKind;
  /** Changes nothing. Refuses where it cannot be sure. */
  probe(need: ArmingNeed): Promise<ProbeResult>;
  /** Exactly what `arm` and staging will touch, as it is now and as arming will make it. Changes nothing. */
  save(loader: UsableLoader, job: ArmingJob): Promise<SavedBootState>;
  /**
   * Throws `BootStateChangedError`, before it changes anything, where the machine is not as it was saved;
   * after an interruption `restore` first. Throws `ArmingFailedError` where what was written does not read
   * back the same; then `restore` too.
   */
  arm(saved: SavedBootState, staged: StagedImage): Promise<Armed>;
  /**
   * Takes back only that the next start is special: the least that can be done in a hurry. `restore` does it,
   * too.
   */
  disarm(saved: SavedBootState): Promise<void>;
  /** Takes everything back that arming wrote; see `restoreBootState`, which needs no adapter. */
  restore(saved: SavedBootState): Promise<Attestation>;
  /** Compares everything with what was saved; changes nothing. */
  attest(saved: SavedBootState): Promise<Attestation>;
}
