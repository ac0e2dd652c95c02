/** What can be wrong with disks, images, and the machines that they are on. */
import { CausewayError } from "./causeway-error.ts";

/** The path that was named as a disk is not one, or is empty. */
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

/** A disk in use cannot be copied as of one instant, and the request does not allow less. */
export class NoConsistentViewError extends CausewayError {
  override readonly name = "NoConsistentViewError";
  readonly retryable = false;
  readonly hint =
    "Accept with --accept disk-in-use that the copy is not consistent, name an unused disk with --disk, or clone the machine through the boot environment.";

  constructor(disk: string, why: string) {
    super(`disk ${disk} has no consistent view: ${why}`);
  }
}

/** The written image differs from the recovery point. The agent sets it aside and never uses it. */
export class VerificationFailedError extends CausewayError {
  override readonly name = "VerificationFailedError";
  readonly retryable = true;
  readonly hint =
    "The target's storage did not return the bytes that were written: check its health, then convert again.";
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

  /** `packageName`: the Debian package; other distributions use a similar name. */
  constructor(tool: string, packageName: string) {
    super(`${tool} is not installed on this machine`);
    this.hint = `Install it on this machine (Debian: apt-get install ${packageName}) and start again.`;
    this.details = { tool, package: packageName };
  }
}

/** The hypervisor did not start a guest, or refused a command. The message is the hypervisor's own. */
export class HypervisorFailedError extends CausewayError {
  override readonly name = "HypervisorFailedError";
  readonly retryable = true;
  readonly hint =
    "Check that the target host has enough free memory, and that no other program has the disks open.";
}

/** The storage has no room for what the agent has to write. Nothing incomplete is left behind. */
export class DiskFullError extends CausewayError {
  override readonly name = "DiskFullError";
  // A retry cannot succeed until someone has made room.
  readonly retryable = false;
  readonly hint: string;
  override readonly details: { path: string; neededBytes: number; freeBytes: number };

  constructor(path: string, neededBytes: number, freeBytes: number, options?: ErrorOptions) {
    super(`no room for ${path}: ${neededBytes} bytes needed, ${freeBytes} free`, options);
    this.hint = `Free at least ${neededBytes - freeBytes} bytes on the file system of ${path}, or choose another folder; then convert again.`;
    this.details = { path, neededBytes, freeBytes };
  }
}

/** A disk image on the target host is damaged, or Causeway did not write it. */
export class ImageUnreadableError extends CausewayError {
  override readonly name = "ImageUnreadableError";
  readonly retryable = false;
  readonly hint =
    "Convert again to write a new image, and leave it untouched between the steps of a conversion.";

  constructor(path: string, why: string) {
    super(`the disk image ${path} cannot be read: ${why}`);
  }
}

/** LVM refused or did not finish what the agent needs for a view of a disk in use. */
export class LvmFailedError extends CausewayError {
  override readonly name = "LvmFailedError";
  readonly retryable = false;
  readonly hint =
    "Look at `lvs @causeway` on the source: snapshots that the agent could not remove are removed before its next recovery point, once the programs of LVM that it started have ended, or by `lvremove @causeway`. Then start again.";
  override readonly details: { code: string };

  constructor(code: string, why: string, options?: ErrorOptions) {
    super(`LVM failed: ${why}`, options);
    this.details = { code };
  }
}

/** A snapshot filled up while it was read: more was written to its volume than it has room for. */
export class SnapshotLostError extends CausewayError {
  override readonly name = "SnapshotLostError";
  readonly retryable = false;
  readonly hint =
    "More was written to the volume than its snapshot has room for. Make more of its volume group free, or start again when less is written.";

  constructor(volume: string) {
    super(`the snapshot of ${volume} filled up before it was read`);
  }
}
