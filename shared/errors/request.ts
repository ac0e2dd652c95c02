/** What the operator asked cannot be done as asked; or enrolment is refused. */
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

/**
 * The token is unknown, expired, used before, or for another role. Deliberately says no more: it may be
 * somebody guessing.
 */
export class EnrolmentRefusedError extends CausewayError {
  override readonly name = "EnrolmentRefusedError";
  readonly retryable = false;
  readonly hint = "Create a new enrolment token with `causeway enrol-token --role ROLE`; each works once.";

  constructor() {
    super("the enrolment token is not valid");
  }
}

/** The control plane refuses this agent's certificate, and will not accept it again. */
export class CertificateRevokedError extends CausewayError {
  override readonly name = "CertificateRevokedError";
  readonly retryable = false;
  readonly hint =
    "If this machine is to take part again, enrol it: a new token, and a new --data folder. `causeway audit` shows who revoked it.";

  constructor() {
    super("this agent was revoked: the control plane refuses its certificate");
  }
}

/** Whoever asks for an identity did not make this request, or it is over. Deliberately says no more. */
export class EnrolmentClaimRefusedError extends CausewayError {
  override readonly name = "EnrolmentClaimRefusedError";
  readonly retryable = false;
  readonly hint = "Make a new enrolment request: the machine shows a new code.";

  constructor() {
    super("there is no such enrolment request, or it is another machine's");
  }
}

/** More machines wait for approval than anybody could have started by hand. */
export class TooManyEnrolmentRequestsError extends CausewayError {
  override readonly name = "TooManyEnrolmentRequestsError";
  readonly retryable = true;
  readonly hint =
    "Approve the machines that are yours; other requests expire within 15 minutes. `causeway enrolment-requests` shows where they come from.";

  constructor() {
    super("too many machines wait for approval");
  }
}
