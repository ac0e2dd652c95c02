/** Why a folder in which a Causeway program keeps its state cannot be used. */
import { CausewayError } from "../errors/causeway-error.ts";

/** Another process is using this folder. */
export class FolderInUseError extends CausewayError {
  override readonly name = "FolderInUseError";
  readonly retryable = false;
  readonly hint =
    "Use the program that is already running, stop it first, or name another folder with --data.";

  constructor(folder: string, holder: string) {
    super(`${folder} is in use by ${holder}`);
  }
}

/** A newer version of the program wrote this folder; this one could misread it. */
export class FolderTooNewError extends CausewayError {
  override readonly name = "FolderTooNewError";
  readonly retryable = false;
  readonly hint: string;

  constructor(folder: string, writtenBy: string, ours: string) {
    super(`${folder} was written by version ${writtenBy}; this is version ${ours}`);
    this.hint = `Run version ${writtenBy} or newer on this folder.`;
  }
}

/**
 * The folder, or something in it, belongs to another user, who could have planted data that Causeway would
 * trust.
 */
export class FolderNotOursError extends CausewayError {
  override readonly name = "FolderNotOursError";
  readonly retryable = false;
  readonly hint: string;

  constructor(folder: string, path: string, uid: number) {
    super(`${path} belongs to user ${uid}`);
    this.hint =
      `Run the program as user ${uid}. If you trust the content of ${folder}, make your user its owner ` +
      `(chown -R). Otherwise name another folder with --data.`;
  }
}

/** The folder has files that are not Causeway's. Restricting access to it would lock other users out. */
export class FolderOfOthersError extends CausewayError {
  override readonly name = "FolderOfOthersError";
  readonly retryable = false;
  readonly hint =
    "Nothing was changed. With --data, name a new or empty folder for Causeway alone, such as /var/lib/causeway.";

  constructor(folder: string, found: string) {
    super(`${folder} is not a Causeway folder: it has ${found}`);
  }
}

/** A file in a Causeway program's folder no longer has the form in which it was written. */
export class FolderFileDamagedError extends CausewayError {
  override readonly name = "FolderFileDamagedError";
  readonly retryable = false;
  readonly hint: string;

  constructor(file: string, what: string, hint: string) {
    super(`${file} is damaged: it is not ${what}`);
    this.hint = hint;
  }
}

/** The folder holds data, but the keys that protect them are missing or belong to another folder. */
export class KeysMissingError extends CausewayError {
  override readonly name = "KeysMissingError";
  readonly retryable = false;
  readonly hint: string;

  constructor(folder: string, files: readonly string[], problem: "missing" | "another folder's") {
    super(`${folder} holds data, but its keys are ${problem}: ${files.join(", ")}`);
    this.hint =
      `Nothing was changed. Restore ${files.join(", ")} from the backup of the keys, then start again. ` +
      "Without these keys, captured data cannot be read.";
  }
}
