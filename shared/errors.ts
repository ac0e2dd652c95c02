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
    "Look at the screenshot and console log of the conversion; the written disks are kept on the target host.";
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
