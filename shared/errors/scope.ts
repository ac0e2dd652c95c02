/**
 * An agent was asked to act outside its scope, which is its own folders and what it did for the same
 * conversion.
 */
import { CausewayError } from "./causeway-error.ts";

/** A name leads out of the folder that it belongs in. Nothing was touched. */
export class UnsafePathError extends CausewayError {
  override readonly name = "UnsafePathError";
  readonly retryable = false;
  readonly hint =
    "Causeway never creates such a name: find out where it comes from before you convert again.";

  constructor(name: string, folder: string) {
    super(`${JSON.stringify(name.slice(0, 100))} is not a valid name in ${folder}`);
  }
}

/**
 * A folder that the agent has to write to cannot be trusted: it is a link, has another owner, or is open to
 * other users.
 */
export class UntrustedFolderError extends CausewayError {
  override readonly name = "UntrustedFolderError";
  readonly retryable = false;
  readonly hint: string;

  constructor(folder: string, why: string, remedy: string) {
    super(`${folder} is not used: ${why}`);
    this.hint = remedy;
  }
}

/**
 * A record in the agent's folder was not written by this agent, or was changed later. The agent does not act
 * on it.
 */
export class RecordNotOursError extends CausewayError {
  override readonly name = "RecordNotOursError";
  readonly retryable = false;
  readonly hint =
    "Find out who can write to the agent's folder. For a boot state, compare the boot loader's files with the copy in the bucket under boot-states/. Then move the named file away and try again.";

  constructor(file: string) {
    super(`${file} was not written by this agent, or was changed later`);
  }
}

/** This agent did not write these disks for this conversion. Nothing was read, started or changed. */
export class ImagesNotOursError extends CausewayError {
  override readonly name = "ImagesNotOursError";
  readonly retryable = false;
  readonly hint =
    "Start it again: the agent reads, starts and removes only images that it wrote itself to its --images folder.";

  constructor(ownerId: string, why: string) {
    super(`the images of ${ownerId} are not used: ${why}`);
  }
}

/** The recovery point is not the one that the conversion captured. Nothing was written. */
export class RecoveryPointUnexpectedError extends CausewayError {
  override readonly name = "RecoveryPointUnexpectedError";
  readonly retryable = false;
  readonly hint = "Someone may have changed the source's agent: check the source, then convert again.";

  constructor(pointId: string, why: string) {
    super(`the recovery point ${pointId} is not what was captured: ${why}`);
  }
}

/** A source captured a different disk than the one that preflight checked. The capture is not used. */
export class CapturedDiskUnexpectedError extends CausewayError {
  override readonly name = "CapturedDiskUnexpectedError";
  readonly retryable = false;
  readonly hint =
    "If the disk was resized, restart the source's agent, so that it reports the new size, and try again. If not, its agent may have been changed: check the source first.";

  constructor(why: string) {
    super(`the captured disk is not the one that preflight checked: ${why}`);
  }
}

/** The conversion that asks for a restart has not armed this machine. Nothing was changed. */
export class RestartRefusedError extends CausewayError {
  override readonly name = "RestartRefusedError";
  readonly retryable = false;
  readonly hint = "Start the conversion again. If no conversion asked for a restart, check `causeway audit`.";

  constructor(conversionId: string, why: string) {
    super(`the machine is not restarted for conversion ${conversionId}: ${why}`);
  }
}
