/** Why a boot image cannot be staged or started. */
import { CausewayError } from "./causeway-error.ts";

/** The boot image that the agent was asked to stage is missing or incomplete. */
export class BootImageUnavailableError extends CausewayError {
  override readonly name = "BootImageUnavailableError";
  readonly retryable = true;
  readonly hint = "Upload the boot image with `causeway boot-images upload`, and try again.";

  constructor(imageId: string, path: string) {
    super(`the boot image ${imageId} is not complete: ${path} is missing`);
  }
}

/** The agent was asked to restart into a boot image that is not staged. */
export class BootImageNotStagedError extends CausewayError {
  override readonly name = "BootImageNotStagedError";
  readonly retryable = false;
  readonly hint = "Start the conversion again: nothing was changed.";

  constructor(conversionId: string) {
    super(`no boot image is staged for conversion ${conversionId}`);
  }
}

/** A boot image does not match its signature or its manifest. The agent does not stage it. */
export class BootImageInvalidError extends CausewayError {
  override readonly name = "BootImageInvalidError";
  readonly retryable = false;
  readonly hint =
    "Fetch or build the boot image again. If this happens again, someone may have tampered with it.";
}

/**
 * The boot image is signed with a key other than the one that this machine trusts. Nothing was staged and
 * nothing was armed.
 */
export class BootImageUntrustedError extends CausewayError {
  override readonly name = "BootImageUntrustedError";
  readonly retryable = false;
  readonly hint =
    "If the key was changed on purpose, stop the agent on that machine and start it once with --trust-boot-image-key FILE, where FILE is the new public key. If it was not, someone else made this boot image: `causeway audit` shows who uploaded it.";
  override readonly details: { signedBy: string; trusted: string };

  /** Fingerprints: SHA-256 of the keys (SPKI, DER). */
  constructor(signedBy: string, trusted: string) {
    super(
      `the boot image is signed with the key ${signedBy.slice(0, 16)}…, but this machine trusts ${trusted.slice(0, 16)}…`,
    );
    this.details = { signedBy, trusted };
  }
}
