import { type LookupAddress, lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { networkInterfaces } from "node:os";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { holdsAddress, isSameAddress } from "#shared/addresses.ts";
import { answerAddressProblem } from "#shared/protocol/answer-address.ts";
import { CHECK_SCRIPTS_FOLDER } from "./check-script.ts";
import type { CheckMeans } from "./wait.ts";

type Resolver = (name: string, done: (error: Error | null, addresses: LookupAddress[]) => void) => void;

/** As this host checks machines. */
export const hostReach: CheckMeans = {
  addressProblem: hostAddressProblem,
  lookup: checkedLookup(hostAddressProblem),
  connectLimitMs: 3000,
  requestLimitMs: 10_000,
  scriptsFolder: CHECK_SCRIPTS_FOLDER,
  trusted: () => {
    hostTrust ??= createSecureContext({
      ca: [...new Set([...getCACertificates("default"), ...getCACertificates("system")])],
    });
    return hostTrust;
  },
};

/** Hundreds of certificates, which take long to read. */
let hostTrust: SecureContext | undefined;

/** What answers at one of this host's own addresses is this host. It may get others at any time. */
function hostAddressProblem(address: string): string | undefined {
  const own = new BlockList();
  for (const one of Object.values(networkInterfaces()).flatMap((all) => all ?? []))
    own.addAddress(one.address, one.family === "IPv6" ? "ipv6" : "ipv4");
  return holdsAddress(own, address) ? `${address} is the target host itself` : answerAddressProblem(address);
}

/** What is at one of these addresses of its source is another machine. */
export function reachWithout(former: readonly string[], reach: CheckMeans): CheckMeans {
  if (former.length === 0) return reach;
  const problemOf = (address: string) =>
    former.some((one) => isSameAddress(one, address))
      ? `${address} is its source's address, which the machine no longer has`
      : undefined;
  const lookup: LookupFunction = (name, options, done) => {
    reach.lookup(name, { ...options, all: true }, (error, found) => {
      if (error) return done(error, "");
      const addresses = [found]
        .flat()
        .map((one) => (typeof one === "string" ? { address: one, family: isIP(one) } : one));
      checkedLookup(problemOf, (_, answer) => answer(null, addresses))(name, options, done);
    });
  };
  return {
    ...reach,
    addressProblem: (address) => problemOf(address) ?? reach.addressProblem(address),
    lookup,
  };
}

/**
 * Resolves a name, and fails unless each of its addresses can be a machine's. An attempt that has given up
 * does not end its lookup, and a process has few at a time, which the renewals of leases need, too: so the
 * next attempt waits for the same one.
 */
export function checkedLookup(
  addressProblem: CheckMeans["addressProblem"],
  addressesOf: Resolver = (name, done) => lookup(name, { all: true }, done),
): LookupFunction {
  const pending = new Map<string, Parameters<Resolver>[1][]>();
  const shared: Resolver = (name, done) => {
    const waiting = pending.get(name);
    if (waiting) return void waiting.push(done);
    const all = [done];
    pending.set(name, all);
    addressesOf(name, (error, addresses) => {
      pending.delete(name);
      for (const one of all) one(error, addresses);
    });
  };
  return (hostname, options, done) => {
    shared(hostname, (error, addresses) => {
      if (error) return done(error, "");
      const problem = addresses.map(({ address }) => addressProblem(address)).find(Boolean);
      const [first] = addresses;
      if (problem || !first)
        return done(new Error(`its name leads to no machine: ${problem ?? "no address"}`), "");
      if (options.all) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}
