import { ServiceUnavailableError } from "#shared/errors.ts";
import { ApiError, ApiUnreachableError } from "#shared/protocol/client.ts";
import { TransientStoreError } from "../store/object-store.ts";

/** Error codes of sockets and name look-ups. */
const NETWORK_CODES = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

/**
 * Returns a `ServiceUnavailableError` for an error which says that the cloud, or the way to it, is
 * unavailable for now; the workflow retries on that name. Returns any other error as it is.
 */
export function asUnavailable(error: unknown): unknown {
  return isPassing(error) ? new ServiceUnavailableError(messageOf(error), { cause: error }) : error;
}

function isPassing(error: unknown): boolean {
  if (error instanceof TransientStoreError || error instanceof ApiUnreachableError) return true;
  if (error instanceof ApiError) return error.retryable;
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return typeof code === "string" && NETWORK_CODES.has(code);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A connection that was tried at several addresses has no message of its own.
  return error.message || String((error as { code?: unknown }).code ?? error.name);
}
