import { type LookupAddress, lookup } from "node:dns";
import { request as overHttp } from "node:http";
import { request as overHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { WebhookFailedError } from "#shared/errors.ts";
import type { WebhookPoster, WebhookRequest } from "../ports.ts";
import { type AddressRules, findAddressProblem, findUrlProblem } from "./webhook-address.ts";

export interface PosterOptions {
  allowLoopback: boolean;
  /** For the whole request, from the name's lookup to the answer's headers. */
  timeoutMs?: number;
  /** PEM, in place of the authorities that Node trusts. */
  ca?: string;
  /** All addresses of a name; if absent, the system's resolver is asked. */
  addressesOf?: Resolver;
}

type Resolver = (name: string, done: (error: Error | null, addresses: LookupAddress[]) => void) => void;
const systemResolver: Resolver = (name, done) => lookup(name, { all: true }, done);

const TIMEOUT_MS = 10_000;

/**
 * Posts over HTTPS. Follows no redirect, reads no more than the answer's headers, and connects only to an
 * address that it has checked.
 */
export class HttpsWebhookPoster implements WebhookPoster {
  readonly #options: PosterOptions;

  constructor(options: PosterOptions) {
    this.#options = options;
  }

  async post({ url, headers, body, allowPrivate }: WebhookRequest): Promise<void> {
    const { allowLoopback, timeoutMs = TIMEOUT_MS, ca, addressesOf = systemResolver } = this.#options;
    const rules = { allowLoopback, allowPrivate };
    const problem = findUrlProblem(url.href, rules);
    if (problem) throw new WebhookFailedError(problem);
    const status = await new Promise<number>((resolve, reject) => {
      const send = url.protocol === "https:" ? overHttps : overHttp;
      const request = send(url, {
        method: "POST",
        headers: { ...headers, "content-length": String(Buffer.byteLength(body)) },
        // No connection is kept, and none goes to an address that was checked for another request.
        agent: false,
        lookup: checkedLookup(addressesOf, rules),
        signal: AbortSignal.timeout(timeoutMs),
        rejectUnauthorized: true,
        ...(ca !== undefined && { ca }),
      });
      request.on("response", (response) => {
        resolve(response.statusCode ?? 0);
        response.destroy();
      });
      request.on("error", (error) => reject(new WebhookFailedError(reasonOf(error, timeoutMs))));
      request.end(body);
    });
    if (status >= 300 && status < 400)
      throw new WebhookFailedError(`the receiver answered ${status}; redirects are not followed`);
    if (status < 200 || status > 299) throw new WebhookFailedError(`the receiver answered ${status}`);
  }
}

/** Resolves a name, and fails unless every address that it has may be used. */
function checkedLookup(addressesOf: Resolver, rules: AddressRules): LookupFunction {
  return (hostname, options, done) => {
    addressesOf(hostname, (error, addresses) => {
      if (error) return done(error, "");
      const problem = addresses.map(({ address }) => findAddressProblem(address, rules)).find(Boolean);
      const [first] = addresses;
      if (problem || !first) return done(new Error(`${hostname}: ${problem ?? "no address"}`), "");
      if (options.all) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}

function reasonOf(error: Error, timeoutMs: number): string {
  if (error.name === "AbortError" || error.name === "TimeoutError")
    return `no answer within ${timeoutMs / 1000} seconds`;
  // A failure to connect to each of several addresses has its reasons inside.
  const [first = error] = error instanceof AggregateError ? error.errors : [];
  return first.message || first.name;
}
