import type { CausewayError } from "#shared/errors.ts";
import type { ApiClient } from "#shared/protocol/client.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import { backoffMs, isRetryableError, retry } from "#shared/retry.ts";
import type { Identity } from "./identity.ts";
import { reachFrom } from "./reach.ts";

export interface EnrolOptions {
  api: ApiClient;
  /** The control plane's URL as this machine reaches it. */
  url: string;
  token: string;
  role: EnrollableRole;
  /** The name by which the operator will recognise the agent: the host name. */
  name: string;
  /** From 0 to 1: spreads the attempts of many agents. */
  random: () => number;
  /** Called before it waits to ask again. */
  onRetry?: (error: CausewayError, delayMs: number) => void;
}

/** A used token stays valid for the same request for ten minutes. */
const RETRY_FOR_MS = 9 * 60_000;

/**
 * Exchanges a one-time token for an identity. Retries while the control plane is away or busy, with the same
 * key, for which the token stays valid. Throws the API's typed errors.
 */
export async function enrol(options: EnrolOptions): Promise<Identity> {
  const { api, url, token, role, name, random, onRetry } = options;
  // Needed once in an agent's life, and too large to stay in memory afterwards.
  const { createCertificateRequest } = await import("./certificate-request.ts");
  const { keyPem, csrPem } = await createCertificateRequest(name);
  const enrolment = await retry(() => api.enrol({ body: { token, role, name, csr: csrPem } }), {
    isRetryable: isRetryableError,
    delayMs: (failures) => backoffMs(failures, random()),
    onRetry,
    patienceMs: RETRY_FOR_MS,
  });
  return { role, keyPem, ...reachFrom(url, enrolment) };
}
