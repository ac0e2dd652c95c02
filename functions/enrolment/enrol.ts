import type { z } from "zod";
import {
  certified,
  givenBack,
  isUsed,
  type TokenRecord,
  type UsedToken,
  used,
} from "#shared/domain/enrolment-token.ts";
import { newId } from "#shared/domain/id.ts";
import { UNHEARD } from "#shared/domain/presence.ts";
import { EnrolmentRefusedError, InvalidInputError } from "#shared/errors.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import type { EnrolmentRequest } from "#shared/protocol/resources.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock, DeviceCertificate, DeviceRegistry, Random } from "../ports.ts";
import { sha256 } from "../store/sha256.ts";
import type { Store } from "../store/store.ts";

export interface EnrolmentDeps {
  store: Store;
  registry: DeviceRegistry;
  clock: Clock;
  random: Random;
  /** IoT policies. */
  policies: Record<EnrollableRole, string>;
}

type Request = z.infer<typeof EnrolmentRequest>;

/**
 * Makes an agent of whoever shows an unused token: the id it gets and the certificate for its key. Throws `EnrolmentRefusedError`, which says
 * no more; the audit does.
 *
 * Order, since there is no transaction over table and broker: the token is used up, the certificate is made but good for nothing, it is written
 * down, gets its rights, the agent is stored, and only then does the certificate become valid. Broken off anywhere, no certificate is valid that the
 * table does not know; the same request repeated within ten minutes goes on where it was, with the same agent id and certificate.
 */
export async function enrol(
  request: Request,
  deps: EnrolmentDeps,
): Promise<{ agentId: string; certificatePem: string }> {
  const token = await useToken(request, deps);
  const { registry, store } = deps;
  const { agentId } = token.use;
  await registry.addThing(agentId);
  const certificate = token.use.certificate ?? (await certify(token, request.csr, deps));
  await registry.bind(agentId, certificate.arn, deps.policies[request.role]);
  const agent = await store.agents.add({
    id: agentId,
    role: request.role,
    name: request.name,
    certificateId: certificate.id,
    certificatePem: ownCertificate(certificate.pem),
    environment: "original",
    enrolledAt: token.use.at,
    presence: UNHEARD,
    version: 0,
  });
  if (agent.revokedAt) throw await refused(request, token.id, "the agent was revoked", deps);
  await registry.activate(certificate.id);
  // Whoever revoked it between the look and the activation meant it.
  if ((await store.agents.get(agentId)).revokedAt) {
    await registry.revoke(certificate.id);
    throw await refused(request, token.id, "the agent was revoked", deps);
  }
  await store.audit.addOnce({
    at: token.use.at,
    actor: agentId,
    action: "agent-enrolled",
    subject: agentId,
    outcome: "done",
    details: { role: request.role, name: request.name, tokenId: token.id },
  });
  return { agentId, certificatePem: certificate.pem };
}

async function useToken(request: Request, deps: EnrolmentDeps): Promise<UsedToken> {
  const { store, clock, random } = deps;
  const nowMs = clock.now();
  const use = {
    role: request.role,
    requestHash: sha256(request.csr),
    agentId: newId("agt", nowMs, random(10)),
  };
  let shown: TokenRecord | undefined;
  try {
    const token = await store.tokens.modify(sha256(request.token), (current) => {
      shown = current;
      return used(current, use, nowMs);
    });
    return mustBeUsed(token);
  } catch (error) {
    if (!(error instanceof EnrolmentRefusedError)) throw error;
    throw await refused(request, shown?.id ?? "unknown-token", "the token is not valid", deps);
  }
}

/** Makes the certificate and writes down that it is this request's. Of two that try at once, one is kept and the other never becomes valid. */
async function certify(token: UsedToken, csr: string, deps: EnrolmentDeps): Promise<DeviceCertificate> {
  const { registry, store } = deps;
  try {
    const made = await registry.certify(csr);
    const noted = await store.tokens.modify(token.hash, (current) => certified(mustBeUsed(current), made));
    return mustBeUsed(noted).use.certificate ?? made;
  } catch (error) {
    // A malformed request must not cost the token.
    if (error instanceof InvalidInputError) {
      await store.tokens.modify(token.hash, (current) => givenBack(mustBeUsed(current)));
    }
    throw error;
  }
}

/** The first of a chain. */
function ownCertificate(pem: string): string {
  const end = "-----END CERTIFICATE-----";
  return `${pem.slice(0, pem.indexOf(end))}${end}\n`;
}

function mustBeUsed(token: TokenRecord | undefined): UsedToken {
  if (!isUsed(token)) throw new EnrolmentRefusedError();
  return token;
}

async function refused(
  { role, name }: Request,
  subject: string,
  reason: string,
  { store, clock }: EnrolmentDeps,
): Promise<EnrolmentRefusedError> {
  await store.audit.add({
    at: timestamp(clock),
    actor: "anyone",
    action: "enrolment-refused",
    subject,
    outcome: "refused",
    details: { role, name, reason },
  });
  return new EnrolmentRefusedError();
}
