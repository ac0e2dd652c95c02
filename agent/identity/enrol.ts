import type { CausewayError } from "#shared/errors.ts";
import type { ApiClient } from "#shared/protocol/client.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import { backoffMs, isRetryableError, retry } from "#shared/retry.ts";
import type { Identity } from "./identity.ts";
import { reachFrom } from "./reach.ts";

export interface EnrolOptions {
  api: ApiClient;
  /** As this machine knows the control plane. */
  url: string;
  token: string;
  role: EnrollableRole;
  /** How the operator will recognise it: the host name. */
  name: string;
  /** From 0 to 1: spreads the attempts of many agents. */
  random: () => number;
  /** Before it waits to ask again. */
  onRetry?: (error: CausewayError, delayMs: number) => void;
}

/** A token that was used remains good for the same request for ten minutes. */
const PATIENCE_MS = 9 * 60_000;

/**
 * Exchanges a one-time token for an identity. Asks again while the control plane is away or busy, with the
 * same key, for which the token remains good. Throws the API's typed errors.
 */
export async function enrol(options: EnrolOptions): Promise<Identity> {
  const { api, url, token, role, name, random, onRetry } = options;
  // Needed once in an agent's life, and too large to keep in memory for the rest of it.
  const { createCertificateRequest } = await import("./certificate-request.ts");
  const { keyPem, csrPem } = await createCertificateRequest(name);
  const enrolment = await retry(() => api.enrol({ body: { token, role, name, csr: csrPem } }), {
    isRetryable: isRetryableError,
    delayMs: (failures) => backoffMs(failures, random()),
    onRetry,
    patienceMs: PATIENCE_MS,
  });
  return { role, keyPem, ...reachFrom(url, enrolment) };
}
