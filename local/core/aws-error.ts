/**
 * An error as AWS services answer it: a code that SDK clients turn into an exception's name, and an HTTP
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

/** The embedded cloud does not do this; AWS may. Loud by design: see docs/local.md for what is supported. */
export class UnsupportedError extends AwsError {
  constructor(what: string) {
    super(
      "NotImplemented",
      `the embedded cloud does not support ${what}; docs/local.md lists what it does`,
      501,
    );
  }
}
