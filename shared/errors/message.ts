/** What agents and control plane say to each other does not fit into one message. */
import { CausewayError } from "./causeway-error.ts";

export class MessageTooLargeError extends CausewayError {
  override readonly name = "MessageTooLargeError";
  readonly retryable = false;
  readonly hint = "Convert fewer disks at a time: name them with --disk.";
  override readonly details: { bytes: number; limitBytes: number };

  constructor(what: string, bytes: number, limitBytes: number) {
    super(`${what} takes ${bytes} bytes, and a message holds ${limitBytes}`);
    this.details = { bytes, limitBytes };
  }
}
