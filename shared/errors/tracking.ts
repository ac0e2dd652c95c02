/** What can be wrong with tracking the changed blocks of a disk. */
import { CausewayError } from "./causeway-error.ts";

/** This machine cannot track changed blocks; its disks are scanned instead. */
export class TrackingUnavailableError extends CausewayError {
  override readonly name = "TrackingUnavailableError";
  readonly retryable = false;
  readonly hint =
    "Nothing must be done: the agent scans the disks instead. Tracking needs root, a kernel from 5.12 on (or EL 8.6) with BTF, and the program causeway-tracker beside the agent.";
  override readonly details: { code: string };

  constructor(code: string, why: string) {
    super(`changed blocks cannot be tracked: ${why}`);
    this.details = { code };
  }
}

/** The tracker refused or failed a call. Its marks are kept. */
export class TrackerFailedError extends CausewayError {
  override readonly name = "TrackerFailedError";
  readonly retryable = true;
  readonly hint = "The next run starts from the last recovery point, and scans the disk if it must.";
  override readonly details: { code: string };

  constructor(code: string, why: string) {
    super(`the tracker failed: ${why}`);
    this.details = { code };
  }
}
