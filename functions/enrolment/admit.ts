import { UNHEARD } from "#shared/domain/presence.ts";
import { ForbiddenError } from "#shared/errors.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import type { AgentEnvironment } from "#shared/protocol/machine.ts";
import type { DeviceCertificate, DeviceRegistry } from "../ports.ts";
import type { Store } from "../store/store.ts";

export interface AdmissionDeps {
  store: Store;
  registry: DeviceRegistry;
  /** IoT policies. */
  policies: Record<EnrollableRole, string>;
}

/** What somebody became entitled to, by a token or by an approval, from a moment on. */
export interface Admission {
  agentId: string;
  role: EnrollableRole;
  name: string;
  csr: string;
  enrolledFrom: AgentEnvironment;
  /** Of a machine that was started by hand. */
  approvedPorts?: string[];
  at: string;
  /** Of an earlier try that was broken off. */
  certificate: DeviceCertificate | undefined;
  /** Writes down that this certificate is the entitlement's; gives the one that was written down first. */
  note: (made: DeviceCertificate) => Promise<DeviceCertificate>;
  /** For the audit. */
  details: Record<string, unknown>;
}

/** The agent that this would have enrolled is not trusted any more. */
export class AgentRevokedError extends ForbiddenError {}

/**
 * Makes an agent of whoever is entitled to be one: certificate, rights, and what is stored of it. Throws
 * `InvalidInputError` for a malformed certificate request and `AgentRevokedError`.
 *
 * Order, since there is no transaction over table and broker: the certificate is made but good for nothing,
 * it is written down, gets its rights, the agent is stored, and only then does the certificate become valid.
 * Broken off anywhere, no certificate is valid that the table does not know; repeated, it goes on where it
 * was, with the same agent id and certificate.
 */
export async function admit(
  admission: Admission,
  { store, registry, policies }: AdmissionDeps,
): Promise<{ agentId: string; certificatePem: string }> {
  const { agentId, role, name, enrolledFrom, approvedPorts, at } = admission;
  await registry.addThing(agentId);
  const certificate = admission.certificate ?? (await admission.note(await registry.certify(admission.csr)));
  await registry.bind(agentId, certificate.arn, policies[role]);
  const agent = await store.agents.add({
    id: agentId,
    role,
    name,
    certificateId: certificate.id,
    certificatePem: ownCertificate(certificate.pem),
    environment: enrolledFrom,
    enrolledFrom,
    approvedPorts,
    enrolledAt: at,
    presence: UNHEARD,
    version: 0,
  });
  if (agent.revokedAt) throw new AgentRevokedError("the agent was revoked");
  await registry.activate(certificate.id);
  // Whoever revoked it between the look and the activation meant it.
  if ((await store.agents.get(agentId)).revokedAt) {
    await registry.revoke(certificate.id);
    throw new AgentRevokedError("the agent was revoked");
  }
  await store.audit.addOnce({
    at,
    actor: agentId,
    action: "agent-enrolled",
    subject: agentId,
    outcome: "done",
    details: { role, name, ...admission.details },
  });
  return { agentId, certificatePem: certificate.pem };
}

/** The first of a chain. */
function ownCertificate(pem: string): string {
  const end = "-----END CERTIFICATE-----";
  return `${pem.slice(0, pem.indexOf(end))}${end}\n`;
}
