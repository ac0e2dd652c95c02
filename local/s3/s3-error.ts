import { AwsError } from "../core/aws-error.ts";

/** Status and S3's own message for each error code that this S3 returns. */
const CODES = {
  AccessDenied: [403, "Access Denied"],
  BadDigest: [400, "The digest you specified did not match what we received."],
  BucketAlreadyOwnedByYou: [409, "The bucket exists already."],
  EntityTooLarge: [400, "Your proposed upload exceeds the maximum allowed object size."],
  EntityTooSmall: [400, "Your proposed upload is smaller than the minimum allowed size."],
  IncompleteBody: [
    400,
    "You did not provide the number of bytes specified by the Content-Length HTTP header.",
  ],
  InternalError: [500, "We encountered an internal error. Please try again."],
  InvalidArgument: [400, "Invalid Argument"],
  InvalidBucketName: [400, "The specified bucket is not valid."],
  InvalidDigest: [400, "The Content-MD5 you specified is not valid."],
  InvalidPart: [
    400,
    "One or more of the specified parts could not be found, or the specified entity tag does not match it.",
  ],
  InvalidPartOrder: [400, "The list of parts was not in ascending order."],
  InvalidRange: [416, "The requested range is not satisfiable"],
  InvalidRequest: [400, "Invalid Request"],
  InvalidURI: [400, "Couldn't parse the specified URI."],
  KeyTooLongError: [400, "Your key is too long"],
  MalformedTrailerError: [400, "The request contained trailing data that was not well-formed."],
  MalformedXML: [400, "The XML you provided was not well-formed or did not validate against our schema."],
  MetadataTooLarge: [400, "Your metadata headers exceed the maximum allowed metadata size."],
  MethodNotAllowed: [405, "The specified method is not allowed against this resource."],
  MissingContentLength: [411, "You must provide the Content-Length HTTP header."],
  NoSuchBucket: [404, "The specified bucket does not exist"],
  NoSuchKey: [404, "The specified key does not exist."],
  NoSuchUpload: [
    404,
    "The specified multipart upload does not exist. It may have been aborted or completed.",
  ],
  NoSuchVersion: [404, "The specified version does not exist."],
  PreconditionFailed: [412, "At least one of the pre-conditions you specified did not hold"],
  RequestTimeout: [400, "Your socket connection to the server was not read from or written to in time."],
  ServiceUnavailable: [503, "The service is shutting down."],
  SignatureDoesNotMatch: [403, "The signature of a chunk of the body does not match."],
  XAmzContentSHA256Mismatch: [
    400,
    "The provided 'x-amz-content-sha256' header does not match what was computed.",
  ],
} as const satisfies Record<string, readonly [number, string]>;

export type S3ErrorCode = keyof typeof CODES;

/** An error that S3 itself documents, with the headers that accompany it. */
export class S3Error extends AwsError {
  readonly headers: Record<string, string>;

  constructor(
    code: S3ErrorCode,
    message: string = CODES[code][1],
    options: ErrorOptions & { headers?: Record<string, string> } = {},
  ) {
    super(code, message, CODES[code][0], options);
    this.headers = options.headers ?? {};
  }
}
