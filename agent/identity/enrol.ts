import type { ApiClient } from "#shared/protocol/client.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
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
}

/** Exchanges a one-time token for an identity. Throws the API's typed errors. */
export async function enrol({ api, url, token, role, name }: EnrolOptions): Promise<Identity> {
  // Needed once in an agent's life, and too large to keep in memory for the rest of it.
  const { createCertificateRequest } = await import("./certificate-request.ts");
  const { keyPem, csrPem } = await createCertificateRequest(name);
  const enrolment = await api.enrol({ body: { token, role, name, csr: csrPem } });
  return { role, keyPem, ...reachFrom(url, enrolment) };
}
