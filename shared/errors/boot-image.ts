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
