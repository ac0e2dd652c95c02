/** A folder in which a program of ours keeps its state cannot be used as it is. */
import { CausewayError } from "../errors/causeway-error.ts";

/** Another process works on this folder. */
export class FolderInUseError extends CausewayError {
  override readonly name = "FolderInUseError";
  readonly retryable = false;
  readonly hint = "Use the program that runs, stop it first, or name another folder with --data.";

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
 * The folder, or something in it, belongs to another user, who could have put there what a program of ours
 * trusts.
 */
export class FolderNotOursError extends CausewayError {
  override readonly name = "FolderNotOursError";
  readonly retryable = false;
  readonly hint: string;

  constructor(folder: string, path: string, uid: number) {
    super(`${path} belongs to the user ${uid}`);
    this.hint =
      `Run the program as the user ${uid}. If the content of ${folder} is known to be right, ` +
      `give it to your user instead (chown -R); else name another folder with --data.`;
  }
}

/** The folder has files of others in it, and closing it would take these from other users and programs. */
export class FolderOfOthersError extends CausewayError {
  override readonly name = "FolderOfOthersError";
  readonly retryable = false;
  readonly hint =
    "Nothing was changed. Name a folder of its own with --data, such as /var/lib/causeway: a new or an empty one.";

  constructor(folder: string, found: string) {
    super(`${folder} is no folder of Causeway's: it holds ${found}`);
  }
}

/** A file that a program of ours keeps in its folder does not read as what it was written as. */
export class FolderFileDamagedError extends CausewayError {
  override readonly name = "FolderFileDamagedError";
  readonly retryable = false;
  readonly hint: string;

  constructor(file: string, what: string, hint: string) {
    super(`${file} is damaged: it does not read as ${what}`);
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
      `Put ${files.join(", ")} back from the backup of the keys, then start again; nothing was changed. ` +
      "Without them nothing that was captured can be read.";
  }
}
