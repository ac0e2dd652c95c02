/** The agent of a boot image that has no job: says which image this is and how the machine is connected, and stays. */
import { networkInterfaces } from "node:os";

declare const CAUSEWAY_VERSION: string;

/** Long enough for anyone; the machine's deadline ends it sooner. */
const STAY_MS = 2 ** 31 - 1;

console.log(`causeway boot environment ${CAUSEWAY_VERSION}`);
const addresses = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
  (list ?? []).filter(({ internal }) => !internal).map(({ cidr }) => `${name} ${cidr}`),
);
console.log(addresses.length === 0 ? "network: none" : `network: ${addresses.join(", ")}`);
setTimeout(() => undefined, STAY_MS);
