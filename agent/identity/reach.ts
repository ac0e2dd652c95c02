import type { Enrolment } from "#shared/protocol/resources.ts";
import { endpointOf } from "./endpoint.ts";

/** An enrolment as this machine can use it. */
export interface Reach {
  enrolment: Enrolment;
  /** The name in the servers' certificates, where it is not the host's own. */
  tlsServerName?: string;
}

/**
 * Where everything is for a machine that knows the control plane as `url`. All of an embedded cloud answers
 * on one host, which other machines may know by another name than it does itself; on AWS every address is
 * what it is.
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
