/** A message between an agent and the control plane is too large. */
import { CausewayError } from "./causeway-error.ts";

export class MessageTooLargeError extends CausewayError {
  override readonly name = "MessageTooLargeError";
  readonly retryable = false;
  readonly hint = "Convert fewer disks at a time: name them with --disk.";
  override readonly details: { bytes: number; limitBytes: number };

  constructor(what: string, bytes: number, limitBytes: number) {
    super(`${what} takes ${bytes} bytes, but a message has room for ${limitBytes}`);
    this.details = { bytes, limitBytes };
  }
}
