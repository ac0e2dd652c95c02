import type { LookupFunction } from "node:net";
import { isAddress, isSameAddress } from "#shared/addresses.ts";
import { endpointOfCheck, type SingleCheck } from "#shared/protocol/answer-check.ts";
import type { IsolatedNetwork } from "#shared/protocol/isolated-network.ts";
import { withTimeLimit } from "../machine/time-limit.ts";
import type { Asker } from "./asker.ts";
import { errorWord } from "./connection.ts";
import type { CheckMeans } from "./wait.ts";

/** Where an isolated machine is asked, and by what. */
export interface IsolatedPlace {
  asker: Asker;
  networks: readonly IsolatedNetwork[];
}

/** `isElsewhere`: the check is about something else than the isolated machine. */
export interface IsolatedRefusal {
  why: string;
  isElsewhere?: true;
}

/**
 * Asks once, in an isolated network. A name is resolved on this host, and has to lead to the machine. Says
 * why the check has not succeeded; `undefined` if it has.
 */
export async function isolatedRefusal(
  check: SingleCheck,
  { asker, networks }: IsolatedPlace,
  reach: CheckMeans,
  signal: AbortSignal,
): Promise<IsolatedRefusal | undefined> {
  const host = endpointOfCheck(check)?.host ?? "";
  const found = await addressesOf(host, reach);
  if ("why" in found) return found;
  const own = networks.flatMap(({ addresses }) => addresses);
  const address = found.addresses.find((one) => own.some((other) => isSameAddress(one, other)));
  if (address === undefined)
    return {
      why: `${host} leads to ${found.addresses.join(", ")}, which is no address of the isolated machine`,
      isElsewhere: true,
    };
  const why = await asker.refusal(check, address, reach, signal);
  return why === undefined ? undefined : { why };
}

async function addressesOf(
  host: string,
  { lookup, connectLimitMs }: CheckMeans,
): Promise<{ addresses: string[] } | { why: string }> {
  if (isAddress(host)) return { addresses: [host] };
  const resolved = allOf(host, lookup).then(
    (addresses) => ({ addresses }),
    (error) => ({ why: errorWord(error) }),
  );
  return withTimeLimit(resolved, connectLimitMs, () => ({ why: "its name is not resolved in time" }));
}

function allOf(host: string, lookup: LookupFunction): Promise<string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<string[]>();
  lookup(host, { all: true }, (error, found) => {
    if (error) reject(error);
    else resolve([found].flat().map((one) => (typeof one === "string" ? one : one.address)));
  });
  return promise;
}
