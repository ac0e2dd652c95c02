import { createSecureContext } from "node:tls";
import { checkedLookup } from "../reach.ts";
import type { CheckMeans } from "../wait.ts";

/** How a test checks machines: on this host, with as little patience as a test can have. */
export function loopbackReach(changes: Partial<CheckMeans> = {}): CheckMeans {
  const addressProblem = () => undefined;
  return {
    ...{
      addressProblem,
      lookup: checkedLookup(addressProblem),
      trusted: () => createSecureContext({ ca: [] }),
    },
    scriptsFolder: "/nowhere",
    ...{ connectLimitMs: 500, requestLimitMs: 500 },
    ...changes,
  };
}
