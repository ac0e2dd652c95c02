import { setTimeout as sleep } from "node:timers/promises";
import type { CausewayError } from "#shared/errors.ts";
import { type ApiClient, ApiError } from "#shared/protocol/client.ts";
import type { EnrolmentOffer, MachineDescription } from "#shared/protocol/enrolment-request.ts";
import type { Enrolment } from "#shared/protocol/resources.ts";
import { isRetryableError, type RetryOptions, retry } from "#shared/retry.ts";
import type { Identity } from "./identity.ts";
import { reachFrom } from "./reach.ts";

export interface ApprovalOptions {
  api: Pick<ApiClient, "requestEnrolment" | "claimEnrolment">;
  /** As this machine knows the control plane. */
  url: string;
  machine: MachineDescription;
  /** Show this code, instead of the one before. */
  onCode: (code: string) => void;
  /** It did not work this time; it is tried again. */
  onTrouble: (error: CausewayError) => void;
  /** Ends it; the promise is rejected then. */
  signal: AbortSignal;
  /** How long to wait before asking again; the control plane says it where this is absent. */
  pollMs?: number;
}

const TROUBLE_PAUSE_MS = 10_000;

/**
 * Asks for a code, has it shown, and waits until an operator approves it; an expired one is followed by
 * another. The identity is a source's, good for the boot environment only. Never gives up by itself: rejects
 * when aborted, or when the control plane does not accept what it sends.
 */
export async function askForApproval(options: ApprovalOptions): Promise<Identity> {
  const { api, url, machine, onCode } = options;
  // Most agents in a boot environment have their identity already, and this is large.
  const { createCertificateRequest } = await import("./certificate-request.ts");
  // The name of a machine may have what a distinguished name must not; the control plane knows it from the
  // request.
  const { keyPem, csrPem } = await createCertificateRequest("causeway-boot-environment");
  for (;;) {
    const offer = await retry(
      () => api.requestEnrolment({ body: { ...machine, csr: csrPem } }),
      untilAborted(options),
    );
    onCode(offer.code);
    const enrolment = await claim(offer, options);
    if (enrolment) return { role: "source", keyPem, ...reachFrom(url, enrolment) };
  }
}

/** Nothing if the code is not good any more. */
async function claim(offer: EnrolmentOffer, options: ApprovalOptions): Promise<Enrolment | undefined> {
  const { api, signal, pollMs } = options;
  let pollSeconds = offer.pollSeconds;
  for (;;) {
    await sleep(pollMs ?? pollSeconds * 1000, undefined, { signal });
    try {
      const { id, secret } = offer;
      const answer = await retry(
        () => api.claimEnrolment({ parameters: { id }, body: { secret } }),
        untilAborted(options),
      );
      if (answer.state === "claimed") return answer.enrolment;
      pollSeconds = answer.pollSeconds;
    } catch (error) {
      const over = error instanceof ApiError && [403, 409].includes(error.problem.status);
      if (!over) throw error;
      return undefined;
    }
  }
}

function untilAborted({
  onTrouble,
  signal,
  pollMs = TROUBLE_PAUSE_MS,
}: ApprovalOptions): RetryOptions<CausewayError> {
  return { isRetryable: isRetryableError, delayMs: () => pollMs, onRetry: onTrouble, signal };
}
