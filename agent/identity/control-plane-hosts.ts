import { hostOf } from "#shared/addresses.ts";
import type { Enrolment } from "#shared/protocol/resources.ts";
import { endpointOf } from "./endpoint.ts";

/**
 * The hosts that an agent must reach for a conversion, each once, the MQTT broker first: names or addresses.
 */
export function controlPlaneHosts(enrolment: Enrolment): string[] {
  const { mqttEndpoint, credentialsEndpoint, apiUrl, awsEndpoint, bucket, region } = enrolment;
  const services = awsEndpoint
    ? [new URL(awsEndpoint).hostname]
    : [`${bucket}.s3.${region}.amazonaws.com`, `kms.${region}.amazonaws.com`];
  const hosts = [
    endpointOf(mqttEndpoint, 8883).host,
    endpointOf(credentialsEndpoint, 443).host,
    new URL(apiUrl).hostname,
    ...services,
  ];
  return [...new Set(hosts.map((hostname) => hostOf({ hostname })))];
}
