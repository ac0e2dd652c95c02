/** Why an operator does not get to see what is in a recovery point's disk. */
import { CausewayError } from "#shared/errors.ts";

/** The volume has nothing at this path. */
export class PathNotFoundError extends CausewayError {
  override readonly name = "PathNotFoundError";
  readonly retryable = false;
  readonly hint = "List the folder above it to see which names exist. Other volumes are not mounted in it.";

  constructor(path: string, volume: string) {
    super(`there is no ${path} on ${volume}`);
  }
}

/** Something is at the path, but it has no bytes to write: a link, a device, a pipe or a socket. */
export class NotAFileError extends CausewayError {
  override readonly name = "NotAFileError";
  readonly retryable = false;
  readonly hint = "Name a file or a folder. A link's own line in the list shows where it leads.";

  constructor(path: string, type: string) {
    super(`${path} is neither a file nor a folder, but a ${type}`);
  }
}

/** The volume has no file system that the boot environment can read. */
export class NoFileSystemError extends CausewayError {
  override readonly name = "NoFileSystemError";
  readonly retryable = false;
  readonly hint =
    "List the volumes by leaving PATH out. For one that cannot be read here, restore the disk and read it with its own system.";

  constructor(volume: string, why: string) {
    super(`${volume} has no file system that can be read here: ${why}`);
  }
}

/** The file system is there, but the kernel of the guest cannot read this of it. */
export class FileSystemUnreadableError extends CausewayError {
  override readonly name = "FileSystemUnreadableError";
  readonly retryable = false;
  readonly hint =
    "The journal is not replayed, so what was written last before the recovery point may be incomplete. Restore the disk, or browse another recovery point.";

  constructor(what: string, why: string) {
    super(`${what} cannot be read: ${why}`);
  }
}

/** These bytes could not be read from the source when the recovery point was taken. */
export class BadRangeReadError extends CausewayError {
  override readonly name = "BadRangeReadError";
  readonly retryable = false;
  readonly hint = "They are in no copy of this recovery point. Try an earlier one.";

  constructor(disk: string, offset: number, bytes: number) {
    super(`${bytes} bytes of ${disk} at byte ${offset} could not be read when the recovery point was taken`);
  }
}

/** The guest that reads the disk did not answer in time. */
export class GuestSilentError extends CausewayError {
  override readonly name = "GuestSilentError";
  readonly retryable = true;
  readonly hint: string;

  /** `lastLine`: the last that its console showed. */
  constructor(seconds: number, lastLine: string) {
    super(`the guest that works on the disks did not answer within ${seconds} s`);
    const shown = lastLine === "" ? "Its console shows nothing." : `Its console ends with "${lastLine}".`;
    this.hint = `${shown} Try again while this machine is less busy; if that does not help, build the boot image again.`;
  }
}

/** The guest that reads the disk ended before it had answered. */
export class GuestEndedError extends CausewayError {
  override readonly name = "GuestEndedError";
  readonly retryable = true;
  readonly hint: string;

  constructor(cause: string, lastLine: string) {
    super(`the guest that works on the disks ended: ${cause}`);
    this.hint = `Its console ends with "${lastLine}". The kernel there may have failed at a damaged file system: restore the disk, or browse another recovery point.`;
  }
}

/** What the guest says is not an answer to what it was asked. */
export class GuestAnswerInvalidError extends CausewayError {
  override readonly name = "GuestAnswerInvalidError";
  readonly retryable = false;
  readonly hint =
    "The disk may hold a file system that attacks the kernel that reads it. Nothing of this answer was kept: do not mount this disk on a machine that matters.";

  constructor(why: string) {
    super(`the guest that works on the disks gave an invalid answer: ${why}`);
  }
}

/** A boot image cannot run the guest: it is missing, or older than such guests. */
export class BrowseImageUnusableError extends CausewayError {
  override readonly name = "BrowseImageUnusableError";
  readonly retryable = false;
  readonly hint =
    "Build a boot image with `npm run boot-image`, and give the folder that it prints as --boot-image.";
}

/** This target host cannot start a guest that works on disks. */
export class NoBootImageError extends CausewayError {
  override readonly name = "NoBootImageError";
  readonly retryable = false;
  readonly hint =
    "Build a boot image (`npm run boot-image`), copy its folder to the target host, and start the agent there once with `--boot-image FOLDER`.";

  constructor() {
    super("this target host has no boot image, in which it could work on a system's disks");
  }
}
