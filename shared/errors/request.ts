/** Why a request of an operator or of an enrolling machine is refused. */
import { CausewayError } from "./causeway-error.ts";

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

/** The resource's state does not allow this. */
export class WrongStateError extends CausewayError {
  override readonly name = "WrongStateError";
  readonly retryable = false;
  readonly hint: string;

  constructor(message: string, hint = "Check the resource's state; wait, or choose another action.") {
    super(message);
    this.hint = hint;
  }
}

/** Another request changed the resource between our read and our write. */
export class ConcurrentChangeError extends CausewayError {
  override readonly name = "ConcurrentChangeError";
  readonly retryable = true;
  readonly hint = "Nothing was changed; send the request again.";

  constructor(what: string, id: string) {
    super(`another request changed ${what} ${id} at the same moment`);
  }
}

export class ForbiddenError extends CausewayError {
  override readonly name = "ForbiddenError";
  readonly retryable = false;
  readonly hint = "Ask an administrator for the permission, or use an identity that has it.";
}

/**
 * The token is unknown, expired, already used, or for another role. The message deliberately does not say
 * which, because the caller may be guessing.
 */
export class EnrolmentRefusedError extends CausewayError {
  override readonly name = "EnrolmentRefusedError";
  readonly retryable = false;
  readonly hint = "Create a new enrolment token with `causeway enrol-token --role ROLE`; each works once.";

  constructor() {
    super("the enrolment token is not valid");
  }
}

/** The control plane refuses this agent's certificate permanently. */
export class CertificateRevokedError extends CausewayError {
  override readonly name = "CertificateRevokedError";
  readonly retryable = false;
  readonly hint =
    "To use this machine again, enrol it with a new token and a new --data folder. `causeway audit` shows who revoked it.";

  constructor() {
    super("this agent was revoked: the control plane refuses its certificate");
  }
}

/**
 * The machine that claims an identity did not make this request, or the request is over. The message
 * deliberately does not say which.
 */
export class EnrolmentClaimRefusedError extends CausewayError {
  override readonly name = "EnrolmentClaimRefusedError";
  readonly retryable = false;
  readonly hint = "Make a new enrolment request: the machine shows a new code.";

  constructor() {
    super("there is no such enrolment request, or it belongs to another machine");
  }
}

/** More machines wait for approval than people could have started by hand. */
export class TooManyEnrolmentRequestsError extends CausewayError {
  override readonly name = "TooManyEnrolmentRequestsError";
  readonly retryable = true;
  readonly hint =
    "Approve the machines that are yours; other requests expire within 15 minutes. `causeway enrolment-requests` shows where they come from.";

  constructor() {
    super("too many machines are waiting for approval");
  }
}
