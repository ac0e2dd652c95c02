import {
  InvalidToken,
  SendTaskFailureCommand,
  SendTaskHeartbeatCommand,
  SendTaskSuccessCommand,
  type SFNClient,
  TaskDoesNotExist,
  TaskTimedOut,
} from "@aws-sdk/client-sfn";
import type { Failure } from "#shared/errors.ts";
import type { WaitingSteps } from "../ports.ts";

/**
 * Step Functions takes 32,768 characters of a cause. A workflow that waits for the one that failed quotes
 * this one in its own, which doubles every quotation mark and backslash.
 */
const MAX_CAUSE = 16_000;

/** The steps of Step Functions that wait for a callback. */
export class SfnWaitingSteps implements WaitingSteps {
  readonly #client: SFNClient;

  constructor(client: SFNClient) {
    this.#client = client;
  }

  succeed(taskToken: string, output: unknown): Promise<boolean> {
    return stillWaiting(
      this.#client.send(new SendTaskSuccessCommand({ taskToken, output: JSON.stringify(output) })),
    );
  }

  fail(taskToken: string, failure: Failure): Promise<boolean> {
    const whole = JSON.stringify(failure);
    const cause = whole.length <= MAX_CAUSE ? whole : JSON.stringify(shortened(failure));
    return stillWaiting(
      this.#client.send(new SendTaskFailureCommand({ taskToken, error: failure.name.slice(0, 256), cause })),
    );
  }

  keepAlive(taskToken: string): Promise<boolean> {
    return stillWaiting(this.#client.send(new SendTaskHeartbeatCommand({ taskToken })));
  }
}

function shortened({ name, message, hint, retryable }: Failure): Failure {
  return { name, message: message.slice(0, 5000), hint: hint.slice(0, 2000), retryable };
}

/** The step has timed out, been answered or been cancelled. These errors all mean that it no longer waits. */
async function stillWaiting(sent: Promise<unknown>): Promise<boolean> {
  try {
    await sent;
    return true;
  } catch (error) {
    const gone =
      error instanceof TaskTimedOut || error instanceof TaskDoesNotExist || error instanceof InvalidToken;
    if (gone) return false;
    throw error;
  }
}
