import {
  claimed,
  type EnrolmentRequestRecord,
  isClaimed,
  withCertificate,
} from "#shared/domain/enrolment-request.ts";
import { EnrolmentClaimRefusedError } from "#shared/errors.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock, DeviceCertificate } from "../ports.ts";
import { sha256OfText } from "../store/sha256.ts";
import { type AdmissionDeps, AgentRevokedError, admit } from "./admit.ts";

export interface ClaimDeps extends AdmissionDeps {
  clock: Clock;
}

interface Claim {
  requestId: string;
  secret: string;
  /** The network address that it came from. */
  address: string;
}

/**
 * Enrols the machine that made this request as a source if an operator has approved it. Resolves with
 * `undefined` while the request is pending. Throws `EnrolmentClaimRefusedError`, and `WrongStateError` once
 * the request has expired. The same claim may be repeated for ten minutes and continues where it stopped.
 */
export async function claim(
  { requestId, secret, address }: Claim,
  deps: ClaimDeps,
): Promise<{ agentId: string; certificatePem: string } | undefined> {
  const { store, clock } = deps;
  const request = await take(requestId, secret, address, deps);
  if (!isClaimed(request)) return undefined;
  const { sourceId, by } = request.approval;
  try {
    return await admit(
      {
        agentId: sourceId,
        role: "source",
        name: request.machine.name,
        csr: request.csr,
        enrolledFrom: "boot-environment",
        approvedPorts: request.machine.macAddresses,
        at: request.claim.at,
        certificate: request.claim.certificate,
        note: (made) => noteOn(requestId, made, deps),
        details: { requestId, approvedBy: by, address },
      },
      deps,
    );
  } catch (error) {
    if (!(error instanceof AgentRevokedError)) throw error;
    await audit(requestId, { reason: error.message, address }, { store, clock });
    throw new EnrolmentClaimRefusedError();
  }
}

async function take(
  requestId: string,
  secret: string,
  address: string,
  { store, clock }: ClaimDeps,
): Promise<EnrolmentRequestRecord> {
  let known: string | undefined;
  try {
    return await store.enrolmentRequests.modify(requestId, (current) => {
      known = current?.id;
      return claimed(current, sha256OfText(secret), clock.now());
    });
  } catch (error) {
    if (!(error instanceof EnrolmentClaimRefusedError)) throw error;
    await audit(known ?? "unknown-request", { reason: error.message, address }, { store, clock });
    throw error;
  }
}

async function noteOn(
  requestId: string,
  made: DeviceCertificate,
  { store }: ClaimDeps,
): Promise<DeviceCertificate> {
  const noted = await store.enrolmentRequests.modify(requestId, (current) => {
    if (!isClaimed(current)) throw new EnrolmentClaimRefusedError();
    return withCertificate(current, made);
  });
  return noted.claim?.certificate ?? made;
}

/** Anyone can guess any number of times, so these entries are counted hourly. */
async function audit(
  subject: string,
  details: { reason: string; address: string },
  { store, clock }: Pick<ClaimDeps, "store" | "clock">,
): Promise<void> {
  await store.audit.addHourly(
    {
      at: timestamp(clock),
      actor: "anyone",
      action: "enrolment-claim-refused",
      subject,
      outcome: "refused",
      details,
    },
    details.reason,
  );
}
