import { hash } from "node:crypto";
import { type ApiClient, createApiClient } from "#shared/protocol/client.ts";
import type { Identity } from "../identity/identity.ts";
import { signRequest } from "../store/sigv4.ts";
import type { AgentCloud } from "./agent-cloud.ts";

/** The API as this agent can use it: requests are signed with its temporary AWS credentials. */
export function agentApi(
  { enrolment }: Identity,
  { credentials, now }: Pick<AgentCloud, "credentials" | "now">,
): ApiClient {
  return createApiClient({
    url: enrolment.apiUrl,
    authorize: async ({ method, url, headers, body }) => {
      // fetch sets the host header itself, and it must be the one that was signed.
      const { host: _host, ...signed } = signRequest({
        method,
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: { ...headers, host: url.host },
        payloadHash: hash("sha256", body ?? ""),
        region: enrolment.region,
        service: "execute-api",
        credentials: await credentials(),
        now: now(),
      });
      return signed;
    },
  });
}
