import type * as z from "zod";
import {
  certified,
  givenBack,
  isUsed,
  type TokenRecord,
  type UsedToken,
  used,
} from "#shared/domain/enrolment-token.ts";
import { newId } from "#shared/domain/id.ts";
import { EnrolmentRefusedError, InvalidInputError } from "#shared/errors.ts";
import type { NewEnrolment } from "#shared/protocol/resources.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock, DeviceCertificate, Random } from "../ports.ts";
import { sha256OfText } from "../store/sha256.ts";
import { type AdmissionDeps, AgentRevokedError, admit } from "./admit.ts";

export interface EnrolmentDeps extends AdmissionDeps {
  clock: Clock;
  random: Random;
}

type Request = z.infer<typeof NewEnrolment>;

/**
 * Enrols an agent with an unused token, and returns its id and certificate. Throws `EnrolmentRefusedError`,
 * which does not say why; the audit does. The token is used up first. The same request may be repeated for
 * ten minutes and continues where it stopped.
 */
export async function enrolAgent(
  request: Request,
  deps: EnrolmentDeps,
): Promise<{ agentId: string; certificatePem: string }> {
  const token = await useToken(request, deps);
  const { role, name, csr } = request;
  try {
    return await admit(
      {
        ...{ role, name, csr },
        agentId: token.use.agentId,
        enrolledFrom: "original",
        at: token.use.at,
        certificate: token.use.certificate,
        note: (made) => noteOn(token, made, deps),
        details: { tokenId: token.id },
      },
      deps,
    );
  } catch (error) {
    // A malformed request must not use up the token.
    if (error instanceof InvalidInputError) {
      await deps.store.tokens.modify(token.hash, (current) => givenBack(requireUsed(current)));
    }
    if (error instanceof AgentRevokedError)
      throw await refused(request, token.id, "the agent was revoked", deps);
    throw error;
  }
}

async function useToken(request: Request, deps: EnrolmentDeps): Promise<UsedToken> {
  const { store, clock, random } = deps;
  const nowMs = clock.now();
  const use = {
    role: request.role,
    requestHash: sha256OfText(request.csr),
    agentId: newId("agt", nowMs, random(10)),
  };
  let shown: TokenRecord | undefined;
  try {
    const token = await store.tokens.modify(sha256OfText(request.token), (current) => {
      shown = current;
      return used(current, use, nowMs);
    });
    return requireUsed(token);
  } catch (error) {
    if (!(error instanceof EnrolmentRefusedError)) throw error;
    if (!shown) throw await refused(request, "unknown-token", "no such token", deps);
    throw await refused(request, shown.id, "the token is used, expired or for another role", deps);
  }
}

/** If two certificates are made at the same time, one is recorded and the other is never activated. */
async function noteOn(
  token: UsedToken,
  made: DeviceCertificate,
  { store }: EnrolmentDeps,
): Promise<DeviceCertificate> {
  const noted = await store.tokens.modify(token.hash, (current) => certified(requireUsed(current), made));
  return requireUsed(noted).use.certificate ?? made;
}

function requireUsed(token: TokenRecord | undefined): UsedToken {
  if (!isUsed(token)) throw new EnrolmentRefusedError();
  return token;
}

type EnrolmentRefusal =
  | "no such token"
  | "the token is used, expired or for another role"
  | "the agent was revoked";

async function refused(
  { role, name }: Request,
  subject: string,
  reason: EnrolmentRefusal,
  { store, clock }: EnrolmentDeps,
): Promise<EnrolmentRefusedError> {
  await store.audit.addHourly(
    {
      at: timestamp(clock),
      actor: "anyone",
      action: "enrolment-refused",
      subject,
      outcome: "refused",
      details: { role, name, reason },
    },
    // The subject is the id of a token that an operator made, or "unknown-token", so it is bounded.
    `${reason} ${subject}`,
  );
  return new EnrolmentRefusedError();
}
