import { KMSClient } from "@aws-sdk/client-kms";
import { alarmOf } from "#shared/domain/alarm.ts";
import type { Environment } from "#shared/environment.ts";
import { InvalidInputError, NotFoundError } from "#shared/errors.ts";
import type { Webhook } from "#shared/protocol/alarms.ts";
import { buildAlarming } from "../alarm/build.ts";
import { type AlarmDeps, clearAlarm, raiseAlarm } from "../alarm/raise.ts";
import { findUrlProblem } from "../alarm/webhook-address.ts";
import { KmsWebhookSecrets } from "../aws/kms-webhook-secrets.ts";
import { timestamp } from "../conversion/deps.ts";
import { type Actor, actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { WebhookSecrets } from "../ports.ts";
import type { WebhookEndpoint, WebhookRecord } from "../store/webhook.ts";

export const handler = apiHandler({
  name: "api/alarms",
  build: (environment: Environment<"api/alarms">, runtime: Runtime): Deps => ({
    ...buildAlarming(environment, runtime),
    secrets: new KmsWebhookSecrets(new KMSClient(), environment.KMS_KEY_ARN),
    allowLoopback: runtime.awsEndpoint !== undefined,
  }),
  operations: { listAlarms, testAlarm, clearAlarmById, getWebhook, setWebhook, removeWebhook },
});

interface Deps extends AlarmDeps {
  secrets: Pick<WebhookSecrets, "seal">;
  allowLoopback: boolean;
}

export async function listAlarms(
  { query }: Call<"listAlarms">,
  { store }: Deps,
): Promise<Answer<"listAlarms">> {
  const { items, cursor } = await store.alarms.page(query);
  return { items: items.map(alarmOf), cursor };
}

export async function testAlarm({ actor }: Call<"testAlarm">, deps: Deps): Promise<Answer<"testAlarm">> {
  const key = { kind: "test" as const, subject: "test" };
  const wanted = {
    ...key,
    cause: `${actorName(actor)} sent a test alarm.`,
    action: "Nothing: if you read this, alarms arrive.",
    since: timestamp(deps.clock),
  };
  const raised = await raiseAlarm(wanted, deps);
  return alarmOf((await clearAlarm(key, deps)) ?? raised);
}

export async function clearAlarmById(
  { path, actor }: Call<"clearAlarmById">,
  deps: Deps,
): Promise<Answer<"clearAlarmById">> {
  const { kind, subject } = await deps.store.alarms.get(path.id);
  const alarm = await clearAlarm({ kind, subject }, deps, actorName(actor));
  if (alarm?.id !== path.id) throw new NotFoundError("alarm", path.id);
  return alarmOf(alarm);
}

export async function getWebhook(_: Call<"getWebhook">, { store }: Deps): Promise<Answer<"getWebhook">> {
  return webhookOf(await store.webhook.find());
}

export async function setWebhook(
  { body: { url, secret, allowPrivate }, actor }: Call<"setWebhook">,
  deps: Deps,
): Promise<Answer<"setWebhook">> {
  const problem = findUrlProblem(url, { allowLoopback: deps.allowLoopback, allowPrivate });
  if (problem) throw new InvalidInputError([{ path: "url", message: problem }]);
  const sealedSecret = await deps.secrets.seal(secret);
  return change("webhook-set", { url: new URL(url).href, allowPrivate, sealedSecret }, actor, deps);
}

export function removeWebhook(
  { actor }: Call<"removeWebhook">,
  deps: Deps,
): Promise<Answer<"removeWebhook">> {
  return change("webhook-removed", undefined, actor, deps);
}

/** The audit gets only the host: other parts of a URL can be secret. */
async function change(
  action: string,
  endpoint: WebhookEndpoint | undefined,
  actor: Actor,
  { store, clock }: Deps,
): Promise<Webhook> {
  const [setAt, setBy] = [timestamp(clock), actorName(actor)];
  const webhook = await store.webhook.set(endpoint, { setAt, setBy });
  await store.audit.add({
    at: setAt,
    actor: setBy,
    action,
    subject: "webhook",
    outcome: "done",
    ...(endpoint && {
      details: { host: new URL(endpoint.url).host, allowPrivate: endpoint.allowPrivate },
    }),
  });
  return webhookOf(webhook);
}

function webhookOf(webhook: WebhookRecord | undefined): Webhook {
  if (!webhook) return {};
  const { endpoint, setAt, setBy } = webhook;
  return { ...(endpoint && { url: endpoint.url, allowPrivate: endpoint.allowPrivate }), setAt, setBy };
}
