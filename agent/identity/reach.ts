import type { Enrolment } from "#shared/protocol/resources.ts";
import { endpointOf } from "./endpoint.ts";

/** How this machine reaches everything an enrolment names. */
export interface Reach {
  enrolment: Enrolment;
  /** The name in the servers' certificates, if it differs from the host's. */
  tlsServerName?: string;
}

/**
 * Where everything is for a machine that reaches the control plane at `url`. An embedded cloud has all its
 * services on one host, which other machines may know by another name than it does itself. On AWS every
 * address stays as it is.
 */
export function reachFrom(url: string, enrolment: Enrolment): Reach {
  if (!enrolment.awsEndpoint) return { enrolment };
  const { hostname, origin } = new URL(url);
  const at = (endpoint: string): string => `${hostname}:${endpointOf(endpoint, 443).port}`;
  return {
    enrolment: {
      ...enrolment,
      apiUrl: origin,
      awsEndpoint: origin,
      mqttEndpoint: at(enrolment.mqttEndpoint),
      credentialsEndpoint: at(enrolment.credentialsEndpoint),
    },
    tlsServerName: endpointOf(enrolment.mqttEndpoint, 443).host,
  };
}
