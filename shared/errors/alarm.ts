/** Why a notice of an alarm did not reach the webhook. */
import { CausewayError } from "./causeway-error.ts";

export class WebhookFailedError extends CausewayError {
  override readonly name = "WebhookFailedError";
  readonly retryable = true;
  readonly hint =
    "Check the webhook's URL and the receiver's log; `causeway alarms test` sends a test. Notices are sent again for about a day.";
}
