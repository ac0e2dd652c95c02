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
  /** The control plane's URL as this machine reaches it. */
  url: string;
  machine: MachineDescription;
  /** Shows this code in place of the one before. */
  onCode: (code: string) => void;
  /** An attempt failed and will be retried. */
  onTrouble: (error: CausewayError) => void;
  /** Stops waiting; the promise then rejects. */
  signal: AbortSignal;
  /** How long to wait before asking again; by default as long as the control plane says. */
  pollMs?: number;
}

const TROUBLE_PAUSE_MS = 10_000;

/**
 * Gets a code, has it shown, and waits until an operator approves it; replaces an expired code. The identity
 * is a source's and is valid for the boot environment only. Never gives up by itself: rejects if aborted, or
 * if the control plane rejects what the machine sends.
 */
export async function askForApproval(options: ApprovalOptions): Promise<Identity> {
  const { api, url, machine, onCode } = options;
  // Most agents in a boot environment already have an identity, and this module is large.
  const { createCertificateRequest } = await import("./certificate-request.ts");
  // A machine's name may contain what a distinguished name must not; the control plane has the name from the
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

/** Returns `undefined` if the code has expired. */
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
