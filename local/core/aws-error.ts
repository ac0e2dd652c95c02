/**
 * An error as AWS services return it: a code, which SDK clients use as the exception's name, and an HTTP
 * status.
 */
export class AwsError extends Error {
  override readonly name = "AwsError";
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.status = status;
  }
}

/** The embedded cloud does not support this; AWS may. docs/local.md lists what is supported. */
export class UnsupportedError extends AwsError {
  constructor(what: string) {
    super(
      "NotImplemented",
      `the embedded cloud does not support ${what}; docs/local.md lists what it does`,
      501,
    );
  }
}
