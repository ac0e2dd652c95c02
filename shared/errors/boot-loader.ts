/** Why a machine's boot loader was not armed, or its boot state could not be compared. */
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

/** After a restart the machine might wait for a person, or start another system. Nothing was changed. */
export class ReturnNotUnattendedError extends CausewayError {
  override readonly name = "ReturnNotUnattendedError";
  readonly retryable = false;
  readonly hint: string;
  override readonly details: { rules: { rule: string; reason: string; remedy: string }[] };

  constructor(rules: { rule: string; reason: string; remedy: string }[]) {
    super(`this machine might not come back by itself: ${rules.map(({ reason }) => reason).join("; ")}`);
    const options = rules.map(({ rule }) => `--accept ${rule}`).join(" ");
    this.hint = `${[...new Set(rules.map(({ remedy }) => remedy))].join(" ")} Or, if you are sure that it comes back, start the conversion with ${options}.`;
    this.details = { rules };
  }
}

/** The boot environment might not reach the control plane the way the source does. Nothing was changed. */
export class NetworkNotRehearsedError extends CausewayError {
  override readonly name = "NetworkNotRehearsedError";
  readonly retryable = false;
  readonly hint =
    "Correct what the message says, convert hot, or start the boot image's ISO by hand. Or, if you are sure of the network, start the conversion with --accept network-rehearsed.";
  override readonly details: { differences: string[] };

  constructor(differences: string[]) {
    super(
      `the boot environment's network differs from the source's: ${differences.join("; ")}`.slice(0, 1000),
    );
    this.details = { differences: differences.slice(0, 16) };
  }
}

/**
 * What was written reads back differently: the firmware or the disk did not keep it. The agent must undo
 * what it wrote.
 */
export class ArmingFailedError extends CausewayError {
  override readonly name = "ArmingFailedError";
  readonly retryable = false;
  readonly hint =
    "The machine still starts as before. Convert again, which tries another boot loader if there is one, or start the boot image's ISO by hand.";

  constructor(what: string) {
    super(`${what} did not keep what was written to it`);
  }
}

/** A part of the boot state cannot be read, or could not be restored exactly. Nothing was changed. */
export class BootStateUnreadableError extends CausewayError {
  override readonly name = "BootStateUnreadableError";
  readonly retryable = false;
  readonly hint = "Correct what the message says, or start the boot image's ISO by hand.";

  constructor(what: string, why: string) {
    super(`${what} cannot be saved: ${why}`);
  }
}

/** The boot state changed between saving and arming. The agent armed nothing. */
export class BootStateChangedError extends CausewayError {
  override readonly name = "BootStateChangedError";
  readonly retryable = true;
  readonly hint =
    "Another program, perhaps an update, changed the boot loader at the same time: convert again.";
  override readonly details: { changed: string[] };

  constructor(changed: string[]) {
    super(`the boot state has changed since it was saved: ${changed.join(", ")}`);
    this.details = { changed };
  }
}

/**
 * What arming wrote, or what the armed start depends on, changed before the restart. The agent does not
 * restart the machine; it undoes what is left of arming and keeps the other change.
 */
export class ArmedStateChangedError extends CausewayError {
  override readonly name = "ArmedStateChangedError";
  readonly retryable = false;
  readonly hint =
    "Another program, perhaps an update, changed the boot loader after it was armed. Wait until it has finished, and convert again.";
  override readonly details: { changed: string[] };

  constructor(changed: string[]) {
    super(`the machine is not restarted, because it changed after it was armed: ${changed.join(", ")}`);
    this.details = { changed };
  }
}

/** What arming wrote might not have reached the disk. The machine still starts as before. */
export class BootFilesNotFlushedError extends CausewayError {
  override readonly name = "BootFilesNotFlushedError";
  readonly retryable = false;
  readonly hint =
    "Check the kernel's log (`dmesg`) for errors on the disk with these folders, and repair or replace it before you convert again.";
  override readonly details: { folders: string[] };

  constructor(folders: readonly string[], why: string) {
    super(`what was written to ${folders.join(" and ")} may not be on the disk: ${why}`);
    this.details = { folders: [...folders] };
  }
}

/** A file system of the saved boot state is not mounted, or only another part of it is. */
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
 * Several file systems have the UUID of one in the saved boot state: a copy of the disk is attached. The
 * agent writes to none of them.
 */
export class VolumeAmbiguousError extends CausewayError {
  override readonly name = "VolumeAmbiguousError";
  readonly retryable = false;
  readonly hint = "Detach the copies, or give their file systems new UUIDs, and convert again.";
  override readonly details: { volume: string; devices: string[] };

  constructor(volume: string, devices: string[]) {
    super(`the file system ${volume} is on ${devices.join(" and on ")}`);
    this.details = { volume, devices };
  }
}

/** The boot state cannot be compared, because the agent has no record of what it was. */
export class BootStateNotSavedError extends CausewayError {
  override readonly name = "BootStateNotSavedError";
  readonly retryable = false;
  readonly hint = "Compare the boot loader's files with the copy in the bucket under boot-states/.";

  constructor(conversionId: string) {
    super(`this machine has no record of its boot state before conversion ${conversionId}`);
  }
}
