import type { Log } from "#shared/log.ts";
import type { Identity } from "../identity/identity.ts";
import { certificateCredentials, type TemporaryCredentials } from "../link/credentials.ts";
import type { CloudTime } from "../link/incoming-messages.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { RetryingStore, type StoreTrouble } from "../store/retrying-store.ts";
import { S3Store } from "../store/s3-store.ts";
import { CloudClock } from "./cloud-clock.ts";
import { cachedUntilExpiry } from "./expiring.ts";

/** The cloud as this agent can use it, with temporary credentials for its certificate. */
export interface AgentCloud extends CloudTime {
  credentials: () => Promise<TemporaryCredentials>;
  random: () => number;
  /** The bucket, within this agent's rights. */
  store: ObjectStore;
  /** How many requests that store has sent so far. */
  requests: () => number;
}

export function openAgentCloud(
  identity: Identity,
  { now, random, log }: { now: () => Date; random: () => number; log: Log },
): AgentCloud {
  const { bucket, region, awsEndpoint } = identity.enrolment;
  const clock = new CloudClock(() => now().getTime());
  const obtain = certificateCredentials(identity);
  const fresh = async () => {
    const issued = await obtain();
    clock.take(issued.issuedAt);
    return issued;
  };
  const credentials = cachedUntilExpiry(fresh, ({ expiration }) => expiration.getTime(), clock.now);
  const endpoint = awsEndpoint ? { endpoint: awsEndpoint } : {};
  const s3 = new S3Store({ bucket, region, credentials, now: clock.now, ...endpoint });
  const askTime = async () => (await fresh()).issuedAt !== undefined;
  const onTrouble = (trouble: StoreTrouble) =>
    log.warn("the object store does not answer as it should; trying again", { ...trouble });
  const store = new RetryingStore(s3, { random, onTrouble });
  return { credentials, now: clock.now, askTime, random, store, requests: () => s3.requests };
}

/** Calls `open` once and remembers its success; after a failure the next caller tries again. */
export function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}
