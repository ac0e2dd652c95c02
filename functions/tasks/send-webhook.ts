import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { KMSClient } from "@aws-sdk/client-kms";
import * as z from "zod";
import { deliveredTo } from "#shared/domain/alarm.ts";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { type Failure, failureOf, WebhookFailedError } from "#shared/errors.ts";
import { Notice, type WebhookDelivery } from "#shared/protocol/alarms.ts";
import { HttpsWebhookPoster } from "../alarm/https-webhook-poster.ts";
import { SIGNATURE_HEADER, signatureOf } from "../alarm/webhook-signature.ts";
import { KmsWebhookSecrets } from "../aws/kms-webhook-secrets.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { Clock, WebhookPoster, WebhookSecrets } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const Input = z.object({
  notice: Notice,
  /** How many attempts failed before this one. */
  failedAttempts: z.int().nonnegative(),
  /** Why the last attempt failed: the notice is not sent again, and this is recorded. */
  givenUp: WorkflowError.optional(),
});

export const handler = taskHandler({
  name: "tasks/send-webhook",
  input: Input,
  build: ({ TABLE_NAME, KMS_KEY_ARN }, { clock, random, awsEndpoint }): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    secrets: new KmsWebhookSecrets(new KMSClient(), KMS_KEY_ARN),
    poster: new HttpsWebhookPoster({ allowLoopback: awsEndpoint !== undefined }),
    clock,
  }),
  run,
});

interface Deps {
  store: Pick<Store, "alarms" | "audit" | "webhook">;
  secrets: WebhookSecrets;
  poster: WebhookPoster;
  clock: Clock;
}

/**
 * Sends one notice to the webhook, signed at this moment, and records how that went. Throws
 * `WebhookFailedError` if it failed, and the workflow tries again. A repetition sends the notice again, under
 * the same id.
 */
export async function run(
  { notice, failedAttempts, givenUp }: z.output<typeof Input>,
  deps: Deps,
): Promise<Pick<WebhookDelivery, "state">> {
  if (givenUp) return giveUp(notice, failedAttempts, workflowFailure(givenUp), deps);
  const attempts = failedAttempts + 1;
  const endpoint = (await deps.store.webhook.find())?.endpoint;
  if (!endpoint) return record(notice, { state: "dropped", attempts: failedAttempts }, deps);
  try {
    const secret = await deps.secrets.open(endpoint.sealedSecret);
    const body = JSON.stringify(notice);
    const headers = {
      "content-type": "application/json",
      "user-agent": "causeway",
      [SIGNATURE_HEADER]: signatureOf(body, secret, deps.clock.now()),
    };
    await deps.poster.post({
      url: new URL(endpoint.url),
      headers,
      body,
      allowPrivate: endpoint.allowPrivate,
    });
  } catch (error) {
    const failure = failureOf(error);
    await record(notice, { state: "failing", attempts, problem: failure.message }, deps);
    throw error instanceof WebhookFailedError ? error : new WebhookFailedError(failure.message);
  }
  return record(notice, { state: "delivered", attempts }, deps);
}

async function giveUp(notice: Notice, attempts: number, failure: Failure, deps: Deps) {
  const at = timestamp(deps.clock);
  await deps.store.audit.addOnce({
    at,
    actor: "causeway",
    action: "alarm-webhook-given-up",
    subject: notice.id,
    outcome: "refused",
    details: { problem: failure.message },
  });
  return record(notice, { state: "given-up", attempts, problem: failure.message }, deps);
}

async function record(
  { id: noticeId, alarm: { kind, subject } }: Notice,
  outcome: Pick<WebhookDelivery, "state" | "attempts" | "problem">,
  { store, clock }: Deps,
): Promise<Pick<WebhookDelivery, "state">> {
  const delivery = { noticeId, ...outcome, at: timestamp(clock) };
  await store.alarms.modifyExisting({ kind, subject }, (alarm) => deliveredTo(alarm, delivery));
  return { state: outcome.state };
}
