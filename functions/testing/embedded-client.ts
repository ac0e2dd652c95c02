import { Readable } from "node:stream";
import type { Service, ServiceRequest } from "#local/core/service.ts";
import { anyone } from "#local/lambda/testing/lambda-world.ts";

interface WireRequest {
  method: string;
  path: string;
  query?: Record<string, string>;
  headers: Record<string, string>;
  body?: Uint8Array;
}

/** What a client of AWS needs to ask this service without a network. Its requests need no signature. */
export function embeddedIn(service: Service) {
  return {
    region: "local-1",
    credentials: { accessKeyId: "key", secretAccessKey: "secret" },
    signer: { sign: async <T>(request: T) => request },
    requestHandler: {
      handle: async ({ method, path, query = {}, headers, body }: WireRequest) => {
        // Not `Buffer.from`: the client warns of what that calls.
        const bytes = Buffer.concat(body ? [body] : []);
        const request = {
          ...{ caller: anyone, method, path, headers, body: Readable.from([bytes]) },
          query: new URLSearchParams(query),
          readBody: async () => bytes,
        } as unknown as ServiceRequest;
        const answer = await service
          .handle(request)
          .catch((error: unknown) => service.renderError(error, { method, path }));
        return {
          response: {
            statusCode: answer.status,
            headers: answer.headers ?? {},
            body: Buffer.from(String(answer.body ?? "")),
          },
        };
      },
    },
  };
}
