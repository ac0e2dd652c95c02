/**
 * What an agent was asked to do is outside of what it may do: its own folders, and what it did for the same
 * conversion.
 */
import { CausewayError } from "./causeway-error.ts";

/** A name would lead out of the folder that it belongs into. Nothing was touched. */
export class UnsafePathError extends CausewayError {
  override readonly name = "UnsafePathError";
  readonly retryable = false;
  readonly hint =
    "No part of Causeway makes such a name: find out where it comes from before you convert again.";

  constructor(name: string, folder: string) {
    super(`${JSON.stringify(name.slice(0, 100))} is no name for something in ${folder}`);
  }
}

/**
 * A folder that the agent would write to may be another's work: a link, of another owner, or open to other
 * users.
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
 * A record in the agent's folder was not written by this agent, or was changed since. What it says was not
 * done.
 */
export class RecordNotOursError extends CausewayError {
  override readonly name = "RecordNotOursError";
  readonly retryable = false;
  readonly hint =
    "Find out who can write to the agent's folder. For a boot state, compare the boot loader's files with the copy in the bucket under boot-states/; then move the named file away and try again.";

  constructor(file: string) {
    super(`${file} was not written by this agent, or was changed since`);
  }
}

/** These disks were not written by this agent for this conversion. Nothing was read, started or changed. */
export class ImagesNotOursError extends CausewayError {
  override readonly name = "ImagesNotOursError";
  readonly retryable = false;
  readonly hint =
    "Convert again: the agent reads, starts and removes only images that it wrote itself, where its --images says.";

  constructor(conversionId: string, why: string) {
    super(`the images of conversion ${conversionId} are not used: ${why}`);
  }
}

/** A recovery point is not the one that the conversion captured. Nothing was written. */
export class RecoveryPointUnexpectedError extends CausewayError {
  override readonly name = "RecoveryPointUnexpectedError";
  readonly retryable = false;
  readonly hint = "Somebody may have changed the source's agent: look at the source, then convert again.";

  constructor(pointId: string, why: string) {
    super(`the recovery point ${pointId} is not what was captured: ${why}`);
  }
}

/** A source answers a capture with another disk than preflight judged. Nothing of it is used. */
export class CapturedDiskUnexpectedError extends CausewayError {
  override readonly name = "CapturedDiskUnexpectedError";
  readonly retryable = false;
  readonly hint =
    "If the disk was resized, restart the source's agent, so that it reports the new size, and convert again. If not, its agent may have been changed: look at the source first.";

  constructor(why: string) {
    super(`the captured disk is not the one that preflight judged: ${why}`);
  }
}

/** The machine is not restarted for a conversion that has not armed it. Nothing was changed. */
export class RestartRefusedError extends CausewayError {
  override readonly name = "RestartRefusedError";
  readonly retryable = false;
  readonly hint = "Start the conversion again. If no conversion asked for it, look at `causeway audit`.";

  constructor(conversionId: string, why: string) {
    super(`the machine is not restarted for conversion ${conversionId}: ${why}`);
  }
}
