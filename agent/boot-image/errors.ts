import { CausewayError } from "#shared/errors.ts";

/**
 * The inputs of a boot image do not fit together: a driver that the kernel does not have, a library in none
 * of the packages.
 */
export class BootImageBuildError extends CausewayError {
  override readonly name = "BootImageBuildError";
  readonly retryable = false;
  readonly hint =
    "Correct the lists in agent/boot-image to fit the packages, or build with the packages of an earlier image.";
}
