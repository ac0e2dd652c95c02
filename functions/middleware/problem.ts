/** Errors as HTTP answers. */
import { CausewayError, failureOf, InvalidInputError } from "#shared/errors.ts";
import type { Problem } from "#shared/protocol/resources.ts";

/** Status and title of each error that a caller can cause. Every other error is a bug of ours. */
const statuses: Readonly<Record<string, { status: number; title: string }>> = {
  InvalidInputError: { status: 400, title: "The request is not valid" },
  EnrolmentRefusedError: { status: 403, title: "Enrolment refused" },
  EnrolmentClaimRefusedError: { status: 403, title: "Enrolment refused" },
  ForbiddenError: { status: 403, title: "Not allowed" },
  NotFoundError: { status: 404, title: "Not found" },
  CutoverEditedError: { status: 409, title: "Changed by another request" },
  LeaseEndedError: { status: 409, title: "The lease has ended" },
  CheckScriptMissingError: { status: 409, title: "Not possible in this state" },
  IsolatedCheckUnavailableError: { status: 409, title: "Not possible in this state" },
  FencedServiceMissingError: { status: 409, title: "Not possible in this state" },
  NothingFencedError: { status: 409, title: "Not possible in this state" },
  SourceAgentOutdatedError: { status: 409, title: "Not possible in this state" },
  SourceConnectedError: { status: 409, title: "The source is connected" },
  WrongStateError: { status: 409, title: "Not possible in this state" },
  ConcurrentChangeError: { status: 409, title: "Changed by another request" },
  TooManyEnrolmentRequestsError: { status: 429, title: "Too many requests" },
  PreflightFailedError: { status: 409, title: "Preflight failed" },
};
const unforeseen = { status: 500, title: "Something went wrong" };

/**
 * The error as problem details. For an unexpected error they contain only `requestId`, under which the log
 * has the rest.
 */
export function problemOf(error: unknown, requestId: string): Problem {
  const failure = failureOf(error);
  const { status, title } = statuses[failure.name] ?? unforeseen;
  return {
    type: `urn:causeway:problem:${failure.name}`,
    title,
    status,
    detail: error instanceof CausewayError ? failure.message : `unexpected error in request ${requestId}`,
    name: failure.name,
    hint: failure.hint,
    ...(error instanceof InvalidInputError ? { fields: error.details.fields } : {}),
  };
}
