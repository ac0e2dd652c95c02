/**
 * Every error that crosses a boundary: the agent's result, a Lambda's answer, an API problem, an `ErrorEquals` in a workflow.
 * The literal `name` is the wire value; it survives minification.
 */
export abstract class CausewayError extends Error {
  abstract override readonly name: string;
  /** Whether the same step, tried again unchanged, may succeed. */
  abstract readonly retryable: boolean;
  /** What the operator can do about it. */
  abstract readonly hint: string;
  /** Machine-readable facts, shown with the message. */
  readonly details: Readonly<Record<string, unknown>> = {};
}

/** An error as it travels: in agents' events, in a state machine's cause, in a conversion's failure. */
export interface Failure {
  name: string;
  message: string;
  hint: string;
  retryable: boolean;
  details?: Record<string, unknown> | undefined;
}

/**
 * What to report for any thrown value. Besides ours, an error that tells its own hint and whether it passes, such as those of the repository
 * format, is reported as it is. A foreign error keeps its message under the name `UnexpectedError`: our bug, so worth a report.
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof CausewayError) {
    const { name, message, hint, retryable, details } = error;
    return { name, message, hint, retryable, details: { ...details } };
  }
  if (isTyped(error)) {
    const { name, message, hint, retryable } = error;
    return { name, message, hint, retryable };
  }
  return {
    name: "UnexpectedError",
    message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    hint: "This is a defect of Causeway: please report it with the log around this time.",
    retryable: false,
  };
}

function isTyped(error: unknown): error is Error & { hint: string; retryable: boolean } {
  return (
    error instanceof Error &&
    "hint" in error &&
    typeof error.hint === "string" &&
    "retryable" in error &&
    typeof error.retryable === "boolean"
  );
}

// --- What the operator asked cannot be done as asked -------------------------------------------------------------

/** A field of the request is missing or malformed. */
export class InvalidInputError extends CausewayError {
  override readonly name = "InvalidInputError";
  readonly retryable = false;
  readonly hint = "Correct the named fields and send the request again.";
  override readonly details: { fields: { path: string; message: string }[] };

  constructor(fields: { path: string; message: string }[]) {
    super(
      `invalid input: ${fields.map((field) => `${field.path || "(body)"}: ${field.message}`).join("; ")}`,
    );
    this.details = { fields };
  }
}

export class NotFoundError extends CausewayError {
  override readonly name = "NotFoundError";
  readonly retryable = false;
  readonly hint = "List the resources to see which ids exist.";

  constructor(what: string, id: string) {
    super(`there is no ${what} ${id}`);
  }
}

/** The resource is not in a state in which this may happen. */
export class WrongStateError extends CausewayError {
  override readonly name = "WrongStateError";
  readonly retryable = false;
  readonly hint: string;

  constructor(message: string, hint = "Look at the resource's state; wait or choose another action.") {
    super(message);
    this.hint = hint;
  }
}

/** Somebody changed the resource between our read and our write. */
export class ConcurrentChangeError extends CausewayError {
  override readonly name = "ConcurrentChangeError";
  readonly retryable = true;
  readonly hint = "Nothing was changed; send the request again.";

  constructor(what: string, id: string) {
    super(`${what} ${id} was changed by somebody else at the same moment`);
  }
}

export class ForbiddenError extends CausewayError {
  override readonly name = "ForbiddenError";
  readonly retryable = false;
  readonly hint = "Ask an administrator for the right, or use an identity that has it.";
}

// --- Enrolment ---------------------------------------------------------------------------------------------------

/** The token is unknown, expired, used before, or for another role. Deliberately says no more: it may be somebody guessing. */
export class EnrolmentRefusedError extends CausewayError {
  override readonly name = "EnrolmentRefusedError";
  readonly retryable = false;
  readonly hint = "Create a new enrolment token with `causeway enrol-token --role ROLE`; each works once.";

  constructor() {
    super("the enrolment token is not valid");
  }
}

// --- Workflow ----------------------------------------------------------------------------------------------------

/** A rule that must hold before anything is touched does not. */
export class PreflightFailedError extends CausewayError {
  override readonly name = "PreflightFailedError";
  readonly retryable = false;
  readonly hint: string;
  override readonly details: { rules: { id: string; message: string; remedy: string }[] };

  constructor(rules: { id: string; message: string; remedy: string }[]) {
    super(`preflight failed: ${rules.map((rule) => rule.message).join("; ")}`);
    this.hint = rules.map((rule) => rule.remedy).join(" ");
    this.details = { rules };
  }
}

/** The operator cancelled the conversion. */
export class ConversionCancelledError extends CausewayError {
  override readonly name = "ConversionCancelledError";
  readonly retryable = false;
  readonly hint = "Nothing to do: what the conversion had taken was released. Start a new one when ready.";

  constructor(conversionId: string) {
    super(`conversion ${conversionId} was cancelled`);
  }
}

/** The agent does not know this command or cannot read it: agent and control plane are of different versions. */
export class UnknownCommandError extends CausewayError {
  override readonly name = "UnknownCommandError";
  readonly retryable = false;
  readonly hint = "Update the agent to the version of the control plane.";
}

/** Step Functions' own `States.HeartbeatTimeout`, in our words. */
export class AgentSilentError extends CausewayError {
  override readonly name = "AgentSilentError";
  readonly retryable = true;
  readonly hint = "Check that the agent runs and reaches the control plane; then start the conversion again.";
}

/** A cloud service that the control plane or an agent stands on refused or did not answer, in spite of repeated attempts. */
export class ServiceUnavailableError extends CausewayError {
  override readonly name = "ServiceUnavailableError";
  readonly retryable = true;
  readonly hint =
    "Try again in a moment; if it persists, look at the log of who reports it, and at its way to the service.";
}

/** Step Functions' own `States.Timeout`, in our words: the agent lives, but the step's limit has passed. */
export class StepTimedOutError extends CausewayError {
  override readonly name = "StepTimedOutError";
  readonly retryable = false;
  readonly hint = "Look at the progress and the bottleneck of the step; then start the conversion again.";

  constructor() {
    super("the step took longer than its limit");
  }
}

// --- Remote cold cloning -----------------------------------------------------------------------------------------

/** The machine was restarted into the boot environment, and the boot environment was not heard in time. */
export class BootEnvironmentSilentError extends CausewayError {
  override readonly name = "BootEnvironmentSilentError";
  readonly retryable = false;
  readonly hint =
    "Look at the machine's console: the boot environment says there what it waits for. It restarts into the original system by itself.";

  constructor(why = "the boot environment was not heard within its deadline") {
    super(why);
  }
}

/** The machine left the boot environment before its work there was done: its power was cut, or a deadline or watchdog restarted it. */
export class BootEnvironmentLeftError extends CausewayError {
  override readonly name = "BootEnvironmentLeftError";
  readonly retryable = false;
  readonly hint =
    "Nothing was lost on the source. Find out why it was restarted, and start the conversion again.";

  constructor() {
    super("the machine left the boot environment before it was done");
  }
}

/** The boot environment could not put the boot state back as it was saved. Nothing was captured. */
export class BootStateNotRestoredError extends CausewayError {
  override readonly name = "BootStateNotRestoredError";
  readonly retryable = false;
  readonly hint =
    "Compare the named items with the saved boot state of this conversion before the machine is restarted again.";

  constructor(items: readonly string[]) {
    super(
      `the boot state could not be put back: ${items.join(", ") || "the boot environment does not say what"}`,
    );
  }
}

/** Nobody heard the original system in time after the machine was told to restart into it. */
export class OriginalSystemSilentError extends CausewayError {
  override readonly name = "OriginalSystemSilentError";
  readonly retryable = false;
  readonly hint =
    "Look at the machine's console, and switch it off and on if it does not go on: it starts its original system. Its agent then reports the boot state by itself.";

  constructor(why = "the original system was not heard within its deadline") {
    super(why);
  }
}

/** The machine runs its original system, and its boot state is not what it was. */
export class BootStateDiffersError extends CausewayError {
  override readonly name = "BootStateDiffersError";
  readonly retryable = false;
  readonly hint =
    "Look at the receipt with `causeway receipt`, and put the named items right before the machine is restarted again.";

  constructor(items: readonly string[]) {
    super(`the boot state is not what it was: ${items.join(", ")}`);
  }
}

/** A boot receipt is not to be believed: of somebody else, of another conversion, or changed. */
export class BootReceiptInvalidError extends CausewayError {
  override readonly name = "BootReceiptInvalidError";
  readonly retryable = false;
  readonly hint =
    "Check the boot state on the machine itself. If its agent is the one you enrolled, report this as a defect.";

  constructor(why: string) {
    super(`the boot receipt is not valid: ${why}`);
  }
}

// --- The agent: source -------------------------------------------------------------------------------------------

export class DiskNotFoundError extends CausewayError {
  override readonly name = "DiskNotFoundError";
  readonly retryable = false;
  readonly hint =
    "Check the disk's name against `causeway sources`; start the agent with --disk NAME=PATH for an image file.";

  constructor(disk: string) {
    super(`this agent has no disk named ${disk}`);
  }
}

// --- The agent: target -------------------------------------------------------------------------------------------

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

/** QEMU did not start or did not obey; its own words are the message. */
export class QemuFailedError extends CausewayError {
  override readonly name = "QemuFailedError";
  readonly retryable = true;
  readonly hint = "Check the target host's free memory and that nothing else has the disks open.";
}

/** The storage has no room for what is to be written. Nothing incomplete is left behind. */
export class DiskFullError extends CausewayError {
  override readonly name = "DiskFullError";
  readonly retryable = true;
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

// --- The agent: boot loaders --------------------------------------------------------------------------------------

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

/** Something was written, and reads back different: firmware that forgets, or a disk that lies. What was written must be given back. */
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

/** The boot image that was to be staged is not on this machine, or only a part of it. */
export class BootImageUnavailableError extends CausewayError {
  override readonly name = "BootImageUnavailableError";
  readonly retryable = true;
  readonly hint = "Upload the boot image with `causeway boot-images upload`, and try again.";

  constructor(imageId: string, path: string) {
    super(`the boot image ${imageId} is not complete: ${path} is missing`);
  }
}

/** A restart was asked for without the image that it should start. */
export class BootImageNotStagedError extends CausewayError {
  override readonly name = "BootImageNotStagedError";
  readonly retryable = false;
  readonly hint = "Start the conversion again: nothing was changed.";

  constructor(conversionId: string) {
    super(`no boot image is staged for conversion ${conversionId}`);
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
