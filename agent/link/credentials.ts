import { Agent, type RequestOptions, request } from "node:https";
import * as z from "zod";
import { ForbiddenError, ServiceUnavailableError } from "#shared/errors.ts";
import { endpointOf } from "../identity/endpoint.ts";
import type { Identity } from "../identity/identity.ts";

const Answer = z.object({
  credentials: z.object({
    accessKeyId: z.string(),
    secretAccessKey: z.string(),
    sessionToken: z.string(),
    expiration: z.iso.datetime(),
  }),
});

/** Temporary AWS credentials. */
export interface TemporaryCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  expiration: Date;
  /** The provider's time, to the second; absent if the answer has none. */
  issuedAt?: Date;
}

/**
 * Returns a function that exchanges the agent's certificate for temporary AWS credentials at the IoT
 * credentials provider. Call it again shortly before they expire. It throws `ForbiddenError` if the provider
 * refuses, as it does for a revoked certificate, and `ServiceUnavailableError` if it does not answer.
 */
export function certificateCredentials(identity: Identity): () => Promise<TemporaryCredentials> {
  const { enrolment, keyPem, tlsServerName } = identity;
  const { host, port } = endpointOf(enrolment.credentialsEndpoint, 443);
  const agent = new Agent({ key: keyPem, cert: enrolment.certificatePem, ca: enrolment.caPem });
  return async () => {
    const { text, date } = await get({
      agent,
      host,
      port,
      path: `/role-aliases/${encodeURIComponent(enrolment.roleAlias)}/credentials`,
      headers: { "x-amzn-iot-thingname": enrolment.agentId },
      ...(tlsServerName ? { servername: tlsServerName } : {}),
      timeout: 15_000,
    });
    const { expiration, ...keys } = Answer.parse(JSON.parse(text)).credentials;
    const issued = Date.parse(date);
    return {
      ...keys,
      expiration: new Date(expiration),
      ...(Number.isNaN(issued) ? {} : { issuedAt: new Date(issued) }),
    };
  };
}

/** Whether the provider refuses the certificate; `false` if it does not answer. */
export async function isCertificateRefused(identity: Identity): Promise<boolean> {
  try {
    await certificateCredentials(identity)();
    return false;
  } catch (error) {
    return error instanceof ForbiddenError;
  }
}

function get(options: RequestOptions): Promise<{ text: string; date: string }> {
  return new Promise((resolve, reject) => {
    const call = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 200) resolve({ text, date: response.headers.date ?? "" });
        else reject(refusal(response.statusCode ?? 0, text));
      });
    });
    call.on("timeout", () => call.destroy(new Error("it did not answer in time")));
    call.on("error", (cause) =>
      reject(
        new ServiceUnavailableError(`the credentials provider does not answer: ${cause.message}`, { cause }),
      ),
    );
    call.end();
  });
}

function refusal(status: number, text: string): Error {
  const message = `the credentials provider answered ${status}: ${text.slice(0, 500)}`;
  const passing = status >= 500 || status === 429;
  return passing ? new ServiceUnavailableError(message) : new ForbiddenError(message);
}
