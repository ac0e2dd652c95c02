import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { STSClient } from "@aws-sdk/client-sts";
import { requireRole } from "#shared/domain/agent.ts";
import { isTargetOf } from "#shared/domain/command-owner.ts";
import type { Environment } from "#shared/environment.ts";
import { ForbiddenError } from "#shared/errors.ts";
import { repositoryPrefix } from "#shared/format/object-keys.ts";
import type { DataAccess } from "#shared/protocol/resources.ts";
import { StsSourceDataBroker } from "../aws/sts-source-data-broker.ts";
import { timestamp } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Clock, SourceDataBroker } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/data-access",
  build: (env: Environment<"api/data-access">, { clock, random, region, awsEndpoint }: Runtime): Deps => ({
    store: openStore(new DynamoDBClient(), env.TABLE_NAME, random),
    broker: new StsSourceDataBroker({
      client: new STSClient(),
      roleArn: env.DATA_ACCESS_ROLE_ARN,
      bucket: env.BUCKET_NAME,
      kmsKeyArn: env.KMS_KEY_ARN,
    }),
    clock,
    bucket: env.BUCKET_NAME,
    region,
    awsEndpoint,
  }),
  operations: { openSourceData, openOwnerData },
});

interface Deps {
  store: Store;
  broker: SourceDataBroker;
  clock: Clock;
  bucket: string;
  region: string;
  awsEndpoint: string | undefined;
}

export async function openSourceData(
  { path, actor }: Call<"openSourceData">,
  deps: Deps,
): Promise<Answer<"openSourceData">> {
  const source = requireRole(await deps.store.agents.find(path.id), "source", path.id);
  return grant(source.id, actorName(actor), deps);
}

/** Only for the target host of the owner, and only while it is running. */
export async function openOwnerData(
  { path, actor }: Call<"openOwnerData">,
  deps: Deps,
): Promise<Answer<"openOwnerData">> {
  const { store } = deps;
  const caller = actorName(actor);
  const agent = await store.agents.findByCertificate(caller);
  const owner = await store.owners.get(path.id);
  if (!isTargetOf(agent, owner) || owner.state !== "running") {
    await audit("refused", agent?.id ?? caller, owner.sourceId, deps, { ownerId: path.id });
    throw new ForbiddenError(
      `only the target host of ${path.id} may read its data, and only while it is running`,
    );
  }
  return grant(owner.sourceId, agent.id, deps, { ownerId: path.id });
}

async function grant(
  sourceId: string,
  actor: string,
  deps: Deps,
  details: Record<string, unknown> = {},
): Promise<DataAccess> {
  const credentials = await deps.broker.grant(sourceId, actor);
  await audit("done", actor, sourceId, deps, details);
  const { bucket, region, awsEndpoint } = deps;
  return {
    sourceId,
    bucket,
    prefix: repositoryPrefix(sourceId),
    region,
    ...(awsEndpoint ? { endpoint: awsEndpoint } : {}),
    credentials,
  };
}

async function audit(
  outcome: "done" | "refused",
  actor: string,
  sourceId: string,
  { store, clock }: Deps,
  details: Record<string, unknown>,
): Promise<void> {
  const action = outcome === "done" ? "data-access-granted" : "data-access-refused";
  const entry = { at: timestamp(clock), actor, action, subject: sourceId, outcome, details };
  // A target host asks again while it reads, and any number of times, so these entries are counted hourly.
  await store.audit.addHourly(entry, outcome === "done" ? sourceId : "");
}
