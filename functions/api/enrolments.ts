import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTClient } from "@aws-sdk/client-iot";
import { KMSClient } from "@aws-sdk/client-kms";
import type { Environment } from "#shared/environment.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import { POLL_SECONDS } from "#shared/protocol/enrolment-request.ts";
import type { Enrolment } from "#shared/protocol/resources.ts";
import { IotDeviceRegistry } from "../aws/iot-device-registry.ts";
import { KmsCommandKey } from "../aws/kms-command-key.ts";
import { claim } from "../enrolment/claim.ts";
import { type EnrolmentDeps, enrolAgent } from "../enrolment/enrol.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { CommandKey } from "../ports.ts";
import { openStore } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/enrolments",
  build: (env: Environment<"api/enrolments">, { clock, random, region, awsEndpoint }: Runtime): Deps => ({
    store: openStore(new DynamoDBClient(), env.TABLE_NAME, random),
    registry: new IotDeviceRegistry(new IoTClient()),
    clock,
    random,
    policies: { source: env.SOURCE_POLICY, target: env.TARGET_POLICY },
    roleAliases: { source: env.SOURCE_ROLE_ALIAS, target: env.TARGET_ROLE_ALIAS },
    bucket: env.BUCKET_NAME,
    kmsKeyId: env.KMS_KEY_ARN,
    commandKey: new KmsCommandKey(new KMSClient(), env.COMMAND_KEY_ARN),
    region,
    awsEndpoint,
  }),
  operations: { enrol: run, claimEnrolment },
});

interface Deps extends EnrolmentDeps {
  roleAliases: Record<EnrollableRole, string>;
  bucket: string;
  kmsKeyId: string;
  commandKey: Pick<CommandKey, "publicKeyPem">;
  region: string;
  awsEndpoint: string | undefined;
}

/**
 * Returns an agent's identity and the addresses that it needs. The same request may be repeated for ten
 * minutes.
 */
export async function run({ body, apiUrl }: Call<"enrol">, deps: Deps): Promise<Answer<"enrol">> {
  return enrolmentOf(await enrolAgent(body, deps), body.role, apiUrl, deps);
}

/** The same for a machine that was started by hand, once an operator has approved its code. */
export async function claimEnrolment(
  { path, body, apiUrl, address }: Call<"claimEnrolment">,
  deps: Deps,
): Promise<Answer<"claimEnrolment">> {
  const admitted = await claim({ requestId: path.id, secret: body.secret, address }, deps);
  if (!admitted) return { state: "pending", pollSeconds: POLL_SECONDS };
  return { state: "claimed", enrolment: await enrolmentOf(admitted, "source", apiUrl, deps) };
}

async function enrolmentOf(
  { agentId, certificatePem }: { agentId: string; certificatePem: string },
  role: EnrollableRole,
  apiUrl: string,
  deps: Deps,
): Promise<Enrolment> {
  const { mqtt, credentials } = await deps.registry.endpoints();
  const [own, ...issuers] = pemBlocks(certificatePem);
  const bootImage = role === "source" ? await deps.store.bootImages.newest() : undefined;
  return {
    agentId,
    certificatePem: own ?? certificatePem,
    // AWS returns the certificate alone, because the issuer of its servers is in every system's store. The
    // embedded cloud adds its own authority.
    ...(issuers.length > 0 ? { caPem: issuers.join("") } : {}),
    mqttEndpoint: mqtt,
    credentialsEndpoint: credentials,
    roleAlias: deps.roleAliases[role],
    region: deps.region,
    bucket: deps.bucket,
    kmsKeyId: deps.kmsKeyId,
    commandKeyPem: await deps.commandKey.publicKeyPem(),
    ...(bootImage ? { bootImageKeyPem: bootImage.publicKeyPem } : {}),
    apiUrl,
    ...(deps.awsEndpoint ? { awsEndpoint: deps.awsEndpoint } : {}),
  };
}

function pemBlocks(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}
