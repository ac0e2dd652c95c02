import type { IncomingMessage } from "node:http";
import { request as overHttp } from "node:http";
import { request as overHttps } from "node:https";
import { endpointOfCheck, type SingleCheck } from "#shared/protocol/answer-check.ts";
import { errorWord, literalProblem } from "./connection.ts";
import type { CheckMeans } from "./wait.ts";

export type HttpCheck = Extract<SingleCheck, { kind: "http" }>;

/**
 * Why the URL does not answer with a status from 200 to 299; `undefined` if it does. Asks once: follows no
 * redirect, uses no proxy, and reads no more than the answer's headers, 16 KiB at most. Rejects with the
 * signal's reason.
 */
export function httpRefusal(
  check: HttpCheck,
  reach: CheckMeans,
  signal: AbortSignal,
): Promise<string | undefined> {
  const problem = literalProblem(endpointOfCheck(check)?.host ?? "", reach);
  if (problem) return Promise.resolve(problem);
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const isTls = check.url.startsWith("https:");
  const isVerified = check.certificate === "verified";
  const limit = AbortSignal.timeout(reach.requestLimitMs);
  const request = (isTls ? overHttps : overHttp)(check.url, {
    // An agent of its own: no connection is kept, and the proxy of the environment is not used.
    agent: false,
    lookup: reach.lookup,
    signal: AbortSignal.any([signal, limit]),
    headers: { "user-agent": "causeway", accept: "*/*" },
    ...(isTls && { rejectUnauthorized: isVerified, ...(isVerified && { secureContext: reach.trusted() }) }),
  });
  const answered = (response: IncomingMessage) => {
    resolve(statusRefusal(response.statusCode ?? 0));
    request.destroy();
  };
  request.on("response", answered);
  // Without a listener, a server that wants another protocol would look like one that hangs up.
  request.on("upgrade", answered);
  // Also after an answer: what follows its headers may be no HTTP.
  request.on("error", (error) => {
    if (signal.aborted) reject(signal.reason);
    else resolve(limit.aborted ? "no answer in time" : failureWords(error));
  });
  request.end();
  return promise;
}

function statusRefusal(status: number): string | undefined {
  if (status >= 200 && status < 300) return undefined;
  return status >= 300 && status < 400
    ? `status ${status}, and redirects are not followed`
    : `status ${status}`;
}

function failureWords(error: Error): string {
  const word = errorWord(error);
  if (/CERT|^UNABLE_TO_/.test(word)) return `its certificate is not accepted: ${word}`;
  return word.startsWith("HPE_") ? `no HTTP: ${word}` : word;
}
