import { AwsError } from "../core/aws-error.ts";
import { asAwsError } from "../core/json-protocol.ts";
import type { ServiceResponse } from "../core/service.ts";

/** An error in the form of the REST JSON protocol, from which SDK clients make their exceptions. */
export function renderRestJsonError(error: unknown): ServiceResponse {
  const { code, message, status } = asAwsError(error);
  return {
    // The policy evaluator does not know the protocol; the REST services answer a refusal with 403.
    status: code === "AccessDeniedException" ? 403 : status,
    headers: { "content-type": "application/json", "x-amzn-errortype": code },
    body: JSON.stringify({ Message: message, message }),
  };
}

/** Decodes the percent-encoding of one path segment. Throws `ValidationException` if it is malformed. */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new AwsError("ValidationException", `'${segment}' is not percent-encoded text`, 400, { cause });
  }
}
