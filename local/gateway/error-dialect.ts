import { AwsError } from "../core/aws-error.ts";

/** S3 has its own names for errors that all other services name alike. Clients act on some of them. */
const S3_CODES = new Map([
  ["ExpiredTokenException", "ExpiredToken"],
  ["IncompleteSignatureException", "AuthorizationHeaderMalformed"],
  ["InvalidSignatureException", "SignatureDoesNotMatch"],
  ["UnrecognizedClientException", "InvalidAccessKeyId"],
]);

/** An authentication error under the name that the service gives it. */
export function inDialectOf(service: string, error: unknown): unknown {
  const code = error instanceof AwsError && service === "s3" ? S3_CODES.get(error.code) : undefined;
  if (code === undefined || !(error instanceof AwsError)) return error;
  return new AwsError(code, error.message, error.status, { cause: error });
}
