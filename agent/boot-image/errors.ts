import { CausewayError } from "#shared/errors.ts";

/** The inputs of a boot image do not fit together: the kernel lacks a driver, or no package has a library. */
export class BootImageBuildError extends CausewayError {
  override readonly name = "BootImageBuildError";
  readonly retryable = false;
  readonly hint =
    "Change the lists in agent/boot-image-builder to match the packages, or build with the packages of an earlier image.";
}
