/** What every Causeway error says. The literal `name` is the wire value; it survives minification. */
export abstract class CausewayError extends Error {
  abstract override readonly name: string;
  /** Whether the same step can succeed if it is tried again unchanged. */
  abstract readonly retryable: boolean;
  /** What the operator can do about it. */
  abstract readonly hint: string;
  /** Machine-readable facts, shown with the message. */
  readonly details: Readonly<Record<string, unknown>> = {};
}
