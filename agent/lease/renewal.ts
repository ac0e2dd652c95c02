import { LeaseEndedError } from "#shared/errors.ts";
import { type ApiClient, ApiError, ApiUnreachableError } from "#shared/protocol/client.ts";
import { withTimeLimit } from "../machine/time-limit.ts";

/** An answer that comes later than this is worth little of a lease. */
const LIMIT_MS = 10_000;

/** Asks the control plane for time; see `LeasesDeps`. */
export function renewalBy(
  api: Pick<ApiClient, "renewLease">,
): (ownerId: string, term: number) => Promise<{ isPermanent: boolean }> {
  return async (ownerId, term) => {
    const asked = api.renewLease({ parameters: { id: ownerId }, body: { term } });
    try {
      return await withTimeLimit(asked, LIMIT_MS, () => {
        throw new ApiUnreachableError(`the control plane did not answer within ${LIMIT_MS / 1000} s`);
      });
    } catch (error) {
      if (error instanceof ApiError && error.problem.name === "LeaseEndedError")
        throw new LeaseEndedError(ownerId, term);
      throw error;
    }
  };
}
