import { UNHEARD } from "#shared/domain/presence.ts";
import { ForbiddenError } from "#shared/errors.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import type { AgentSystem } from "#shared/protocol/machine.ts";
import type { DeviceCertificate, DeviceRegistry } from "../ports.ts";
import type { Store } from "../store/store.ts";

export interface AdmissionDeps {
  store: Store;
  registry: DeviceRegistry;
  /** IoT policies. */
  policies: Record<EnrollableRole, string>;
}

/** An agent's right to be enrolled, from a token or from an approval. */
export interface Admission {
  agentId: string;
  role: EnrollableRole;
  name: string;
  csr: string;
  enrolledFrom: AgentSystem;
  /** Of a machine that was started by hand. */
  approvedPorts?: string[];
  at: string;
  /** The certificate from an earlier, interrupted try. */
  certificate: DeviceCertificate | undefined;
  /** Records the certificate for this right, and returns the one that was recorded first. */
  note: (made: DeviceCertificate) => Promise<DeviceCertificate>;
  /** For the audit. */
  details: Record<string, unknown>;
}

/** The agent was revoked before its enrolment finished. */
export class AgentRevokedError extends ForbiddenError {}

/**
 * Enrols an agent: makes its certificate, gives it rights, and stores its record. Throws `InvalidInputError`
 * for a malformed certificate request, and `AgentRevokedError`.
 *
 * There is no transaction over the table and the broker, so the order matters: the certificate is made
 * inactive and recorded, it gets its rights, the agent is stored, and only then is the certificate activated.
 * So after an interruption at any point, the table knows every active certificate. A repeat continues with
 * the same agent id and certificate.
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
  // An operator may have revoked it between the check above and the activation.
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

/** The first certificate of a chain. */
function ownCertificate(pem: string): string {
  const end = "-----END CERTIFICATE-----";
  return `${pem.slice(0, pem.indexOf(end))}${end}\n`;
}
