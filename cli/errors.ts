import {
  BrowseImageUnusableError,
  NoFileSystemError,
  NotAFileError,
  PathNotFoundError,
} from "#agent/browse/errors.ts";
import {
  asSystemRefusal,
  CausewayError,
  CertificateRevokedError,
  DiskUnusableError,
  FolderFileDamagedError,
  FolderInUseError,
  FolderNotOursError,
  FolderOfOthersError,
  FolderTooNewError,
  InvalidInputError,
  KeysMissingError,
  NotFoundError,
  OfAnotherMachineError,
  UntrustedFolderError,
} from "#shared/errors.ts";
import { ApiError } from "#shared/protocol/client.ts";

/** The command line itself is wrong. */
export class UsageError extends CausewayError {
  override readonly name = "UsageError";
  readonly retryable = false;
  readonly hint: string;

  constructor(message: string, command?: string) {
    super(message);
    this.hint = `See \`causeway ${command ? `${command} ` : ""}--help\`.`;
  }
}

/** An error whose remedy depends on what happened. */
abstract class ErrorWithHint extends CausewayError {
  readonly retryable = false;
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** Refused because of the current state of files or the repository. */
export class RefusedError extends ErrorWithHint {
  override readonly name = "RefusedError";
}

/** A conversion that `--wait` waited for did not complete. */
export class ConversionNotCompletedError extends ErrorWithHint {
  override readonly name = "ConversionNotCompletedError";
  /** The failure's own name, such as `PreflightFailedError`. */
  readonly failureName: string;

  constructor(message: string, hint: string, failureName: string) {
    super(message, hint);
    this.failureName = failureName;
  }
}

/** A drill that `--wait` waited for failed, found a difference, or did not see its clone boot. */
export class DrillNotPassedError extends ErrorWithHint {
  override readonly name = "DrillNotPassedError";
}

/** A recovery that `--wait` waited for failed, or was cancelled. */
export class RecoveryNotCompletedError extends ErrorWithHint {
  override readonly name = "RecoveryNotCompletedError";
}

/** A cutover that `--wait` waited for was rolled back, failed, or was cancelled. */
export class CutoverNotCompletedError extends ErrorWithHint {
  override readonly name = "CutoverNotCompletedError";
}

/** A check on a target host came to no end. */
export class CheckNotCompletedError extends ErrorWithHint {
  override readonly name = "CheckNotCompletedError";
}

/** The target host did not do what was asked of a machine. */
export class MachineActionFailedError extends ErrorWithHint {
  override readonly name = "MachineActionFailedError";
}

/** A protection run that was asked for did not begin. */
export class RunSkippedError extends CausewayError {
  override readonly name = "RunSkippedError";
  readonly retryable = true;
  readonly hint = "Wait until the source is free, and ask again.";
}

/** A preflight rule fails; the table says which. */
export class PreflightNotPassedError extends CausewayError {
  override readonly name = "PreflightNotPassedError";
  readonly retryable = false;
  readonly hint = "Follow the remedies, and check again.";
}

/** A receipt that is not valid, or that reports a change of the boot state or a wrong copy. */
export class ReceiptProblemError extends CausewayError {
  override readonly name = "ReceiptProblemError";
  readonly retryable = false;
  readonly hint: string;

  constructor(
    message: string,
    hint = "Check the boot state on the machine itself before it restarts again.",
  ) {
    super(message);
    this.hint = hint;
  }
}

/** The program that read standard output has ended before all of a file was written to it. */
export class OutputClosedError extends CausewayError {
  override readonly name = "OutputClosedError";
  readonly retryable = false;
  readonly hint = "What it was piped to has ended. Write to a file with --output FILE to have all of it.";

  constructor() {
    super("standard output was closed before everything was written");
  }
}

/** The repository is damaged; the report says where. */
export class DamageFoundError extends CausewayError {
  override readonly name = "DamageFoundError";
  readonly retryable = false;
  readonly hint =
    "Restore the named objects from an earlier version in the bucket, or convert again to make a new recovery point.";
}

export const EXIT = { done: 0, failed: 1, usage: 2, notFound: 3, refused: 4 } as const;

/** Refused because of the current state, rather than failed. */
const REFUSALS = [
  BrowseImageUnusableError,
  NoFileSystemError,
  NotAFileError,
  DiskUnusableError,
  CertificateRevokedError,
  OfAnotherMachineError,
  RefusedError,
  RunSkippedError,
  PreflightNotPassedError,
  FolderInUseError,
  FolderNotOursError,
  FolderOfOthersError,
  FolderTooNewError,
  FolderFileDamagedError,
  KeysMissingError,
  UntrustedFolderError,
];

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof InvalidInputError) return EXIT.usage;
  if (asSystemRefusal(error) || REFUSALS.some((refusal) => error instanceof refusal)) return EXIT.refused;
  if (error instanceof NotFoundError || error instanceof PathNotFoundError) return EXIT.notFound;
  if (error instanceof ConversionNotCompletedError) {
    return error.failureName === "PreflightFailedError" ? EXIT.refused : EXIT.failed;
  }
  if (error instanceof ApiError) return exitCodeOfStatus(error.problem.status);
  return EXIT.failed;
}

function exitCodeOfStatus(status: number): number {
  if (status === 400) return EXIT.usage;
  if (status === 404) return EXIT.notFound;
  if (status === 401 || status === 403 || status === 409) return EXIT.refused;
  return EXIT.failed;
}
