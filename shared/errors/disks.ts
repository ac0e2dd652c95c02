/** What agents find on disks, in images and on the machines that hold them. */
import { CausewayError } from "./causeway-error.ts";

/** What was named as a disk is none, or holds no byte. */
export class DiskUnusableError extends CausewayError {
  override readonly name = "DiskUnusableError";
  readonly retryable = false;
  readonly hint = "Name an image file or a block device with --disk NAME=PATH.";

  constructor(name: string, why: string) {
    super(`disk ${name} cannot be offered: ${why}`);
  }
}

export class DiskNotFoundError extends CausewayError {
  override readonly name = "DiskNotFoundError";
  readonly retryable = false;
  readonly hint =
    "Check the disk's name against `causeway sources`; start the agent with --disk NAME=PATH for an image file.";

  constructor(disk: string) {
    super(`this agent has no disk named ${disk}`);
  }
}

/** What was written differs from the recovery point. The image is kept aside, never offered as a result. */
export class VerificationFailedError extends CausewayError {
  override readonly name = "VerificationFailedError";
  readonly retryable = true;
  readonly hint =
    "The target's storage returned other bytes than were written: check its health, then convert again.";
}

export class BootCheckFailedError extends CausewayError {
  override readonly name = "BootCheckFailedError";
  readonly retryable = false;
  readonly hint =
    "Look at the screenshot and the console log in the bucket under evidence/. The recovery point is kept: `causeway restore` writes its disks.";
}

/** A program or file that a step needs is not installed on this machine. */
export class ToolMissingError extends CausewayError {
  override readonly name = "ToolMissingError";
  readonly retryable = false;
  readonly hint: string;
  override readonly details: { tool: string; package: string };

  /** `packageName`: of Debian; other distributions name it alike. */
  constructor(tool: string, packageName: string) {
    super(`${tool} is not installed on this machine`);
    this.hint = `Install it on this machine (Debian: apt-get install ${packageName}) and start again.`;
    this.details = { tool, package: packageName };
  }
}

/** The hypervisor did not start a guest, or did not obey; its own words are the message. */
export class HypervisorFailedError extends CausewayError {
  override readonly name = "HypervisorFailedError";
  readonly retryable = true;
  readonly hint = "Check the target host's free memory and that nothing else has the disks open.";
}

/** The storage has no room for what is to be written. Nothing incomplete is left behind. */
export class DiskFullError extends CausewayError {
  override readonly name = "DiskFullError";
  // Storage does not empty itself: whoever tries again has made room first.
  readonly retryable = false;
  readonly hint: string;
  override readonly details: { path: string; neededBytes: number; freeBytes: number };

  constructor(path: string, neededBytes: number, freeBytes: number, options?: ErrorOptions) {
    super(`no room for ${path}: ${neededBytes} bytes needed, ${freeBytes} free`, options);
    this.hint = `Free at least ${neededBytes - freeBytes} bytes where ${path} lies, or choose another folder; then convert again.`;
    this.details = { path, neededBytes, freeBytes };
  }
}

/** A disk image on the target host is damaged, or of a kind that Causeway does not write. */
export class ImageUnreadableError extends CausewayError {
  override readonly name = "ImageUnreadableError";
  readonly retryable = false;
  readonly hint =
    "Convert again to write the image anew; leave it untouched between the steps of a conversion.";

  constructor(path: string, why: string) {
    super(`the disk image ${path} cannot be read: ${why}`);
  }
}
