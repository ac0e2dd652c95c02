import type { LookupFunction } from "node:net";
import type { SecureContext } from "node:tls";

/** Waiting for one answer. */
export interface Wait {
  signal: AbortSignal;
  /** How it is, for people, and the end of what a script wrote. */
  note: (text: string, scriptOutput?: string) => void;
}

/** How a target host checks machines. */
export interface CheckMeans {
  /** Why no machine can have this address; `undefined` if one can. */
  addressProblem: (address: string) => string | undefined;
  /** Resolves names, and fails for those that lead where no machine can be. */
  lookup: LookupFunction;
  /** For one connection. */
  connectLimitMs: number;
  /** For one request, from the name's lookup to the end of the answer's headers. */
  requestLimitMs: number;
  /** Has the authorities whose certificates are trusted. */
  trusted: () => SecureContext;
  /** The folder with the check scripts. */
  scriptsFolder: string;
}
