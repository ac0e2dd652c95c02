/** Boot loaders and the boot state: why a machine was not armed, or could not be compared. */
import { CausewayError } from "./causeway-error.ts";

/** No boot loader of the machine can be armed so that it surely comes back by itself. Nothing was changed. */
export class ArmingRefusedError extends CausewayError {
  override readonly name = "ArmingRefusedError";
  readonly retryable = false;
  readonly hint: string;
  override readonly details: { refusals: { loader: string; code: string; reason: string; remedy: string }[] };

  constructor(
    refusals: { loader: string; code: string; reason: string; remedy: string }[],
    manualFallback: string,
  ) {
    super(
      `this machine cannot be armed: ${refusals.map(({ loader, reason }) => `${loader}: ${reason}`).join("; ")}`,
    );
    this.hint = `${[...new Set(refusals.map(({ remedy }) => remedy))].join(" ")} ${manualFallback}`;
    this.details = { refusals };
  }
}

/** Restarted, the machine may wait for somebody, or start another system. Nothing was changed. */
export class ReturnNotUnattendedError extends CausewayError {
  override readonly name = "ReturnNotUnattendedError";
  readonly retryable = false;
  readonly hint: string;
  override readonly details: { rules: { rule: string; reason: string; remedy: string }[] };

  constructor(rules: { rule: string; reason: string; remedy: string }[]) {
    super(`this machine may not come back by itself: ${rules.map(({ reason }) => reason).join("; ")}`);
    const options = rules.map(({ rule }) => `--accept ${rule}`).join(" ");
    this.hint = `${[...new Set(rules.map(({ remedy }) => remedy))].join(" ")} Or vouch for it: start the conversion with ${options}.`;
    this.details = { rules };
  }
}

/** The boot environment may not reach the control plane as the source does. Nothing was changed. */
export class NetworkNotRehearsedError extends CausewayError {
  override readonly name = "NetworkNotRehearsedError";
  readonly retryable = false;
  readonly hint =
    "Correct what the message says, convert hot, or start the boot image's ISO by hand. Or vouch for the network: start the conversion with --accept network-rehearsed.";
  override readonly details: { differences: string[] };

  constructor(differences: string[]) {
    super(`the boot environment's network is not the source's: ${differences.join("; ")}`.slice(0, 1000));
    this.details = { differences: differences.slice(0, 16) };
  }
}

/**
 * Something was written, and reads back different: firmware that forgets, or a disk that lies. What was
 * written must be given back.
 */
export class ArmingFailedError extends CausewayError {
  override readonly name = "ArmingFailedError";
  readonly retryable = false;
  readonly hint =
    "The machine still starts as always. Convert again, which tries another boot loader if there is one, or start the boot image's ISO by hand.";

  constructor(what: string) {
    super(`${what} did not keep what was written to it`);
  }
}

/** A part of the boot state cannot be read, or could not be given back exactly. Nothing was changed. */
export class BootStateUnreadableError extends CausewayError {
  override readonly name = "BootStateUnreadableError";
  readonly retryable = false;
  readonly hint = "Correct what the message says, or start the boot image's ISO by hand.";

  constructor(what: string, why: string) {
    super(`${what} cannot be saved: ${why}`);
  }
}

/** Between saving and arming something of the boot state changed. Nothing was changed by us since. */
export class BootStateChangedError extends CausewayError {
  override readonly name = "BootStateChangedError";
  readonly retryable = true;
  readonly hint =
    "Something else, perhaps an update, changed the boot loader at the same time: convert again.";
  override readonly details: { changed: string[] };

  constructor(changed: string[]) {
    super(`the boot state is not as it was saved: ${changed.join(", ")}`);
    this.details = { changed };
  }
}

/**
 * What arming wrote, or what the armed start goes through, changed before the restart. Nothing was restarted;
 * what is left of arming is taken back, and the change stays.
 */
export class ArmedStateChangedError extends CausewayError {
  override readonly name = "ArmedStateChangedError";
  readonly retryable = false;
  readonly hint =
    "Something else, perhaps an update, changed the boot loader after it was armed. See that it is done, and convert again.";
  override readonly details: { changed: string[] };

  constructor(changed: string[]) {
    super(`the machine is not restarted, for it is no longer as it was armed: ${changed.join(", ")}`);
    this.details = { changed };
  }
}

/** What arming wrote is not known to be on the disk itself. The machine still starts as always. */
export class BootFilesNotFlushedError extends CausewayError {
  override readonly name = "BootFilesNotFlushedError";
  readonly retryable = false;
  readonly hint =
    "Look at the kernel's log (`dmesg`) for errors of the disk with these folders, and mend or replace it before you convert again.";
  override readonly details: { folders: string[] };

  constructor(folders: readonly string[], why: string) {
    super(`what was written to ${folders.join(" and ")} may not be on the disk: ${why}`);
    this.details = { folders: [...folders] };
  }
}

/** A file system that holds saved boot state is not mounted, or only another part of it. */
export class VolumeNotMountedError extends CausewayError {
  override readonly name = "VolumeNotMountedError";
  readonly retryable = true;
  readonly hint = "Mount the file system with this UUID, writable, and try again.";
  override readonly details: { volume: string; path: string };

  constructor(volume: string, path: string) {
    super(`the file system ${volume}, which has ${path}, is not mounted`);
    this.details = { volume, path };
  }
}

/**
 * Several file systems have the UUID of the one that holds saved boot state: a copy of the disk is attached,
 * too. None of them is written.
 */
export class VolumeAmbiguousError extends CausewayError {
  override readonly name = "VolumeAmbiguousError";
  readonly retryable = false;
  readonly hint = "Detach the copies, or give their file systems UUIDs of their own, and convert again.";
  override readonly details: { volume: string; devices: string[] };

  constructor(volume: string, devices: string[]) {
    super(`the file system ${volume} is on ${devices.join(" and on ")}`);
    this.details = { volume, devices };
  }
}

/** The boot state cannot be compared, for the agent has no record of what it was. */
export class BootStateNotSavedError extends CausewayError {
  override readonly name = "BootStateNotSavedError";
  readonly retryable = false;
  readonly hint = "Compare the boot loader's files with the state that the bucket keeps under boot-states/.";

  constructor(conversionId: string) {
    super(`this machine has no record of its boot state before conversion ${conversionId}`);
  }
}
