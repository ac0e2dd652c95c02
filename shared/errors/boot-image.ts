/** Boot images: why one cannot be staged or started. */
import { CausewayError } from "./causeway-error.ts";

/** The boot image that was to be staged is not on this machine, or only a part of it. */
export class BootImageUnavailableError extends CausewayError {
  override readonly name = "BootImageUnavailableError";
  readonly retryable = true;
  readonly hint = "Upload the boot image with `causeway boot-images upload`, and try again.";

  constructor(imageId: string, path: string) {
    super(`the boot image ${imageId} is not complete: ${path} is missing`);
  }
}

/** A restart was asked for without the image that it should start. */
export class BootImageNotStagedError extends CausewayError {
  override readonly name = "BootImageNotStagedError";
  readonly retryable = false;
  readonly hint = "Start the conversion again: nothing was changed.";

  constructor(conversionId: string) {
    super(`no boot image is staged for conversion ${conversionId}`);
  }
}

/** A boot image is not what its signature or its manifest says. It must not be staged. */
export class BootImageInvalidError extends CausewayError {
  override readonly name = "BootImageInvalidError";
  readonly retryable = false;
  readonly hint = "Fetch or build the boot image again; if this repeats, somebody may have tampered with it.";
}

/**
 * The boot image is signed with another key than the one whose images this machine starts. Nothing of it was
 * staged, nothing was armed.
 */
export class BootImageUntrustedError extends CausewayError {
  override readonly name = "BootImageUntrustedError";
  readonly retryable = false;
  readonly hint =
    "If the key was changed on purpose, stop the agent on that machine and start it once with --trust-boot-image-key FILE, the new public key. If not, somebody else made this boot image: find out who uploaded it with `causeway audit`.";
  override readonly details: { signedBy: string; trusted: string };

  /** Fingerprints: SHA-256 of the keys (SPKI, DER). */
  constructor(signedBy: string, trusted: string) {
    super(
      `the boot image is signed with the key ${signedBy.slice(0, 16)}…, this machine trusts ${trusted.slice(0, 16)}…`,
    );
    this.details = { signedBy, trusted };
  }
}
