import type { Identity } from "../identity/identity.ts";
import { certificateCredentials, type TemporaryCredentials } from "../link/credentials.ts";
import type { CloudTime } from "../link/incoming-messages.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { RetryingStore } from "../store/retrying-store.ts";
import { S3Store } from "../store/s3-store.ts";
import { CloudClock } from "./cloud-clock.ts";
import { cachedUntilExpiry } from "./expiring.ts";

/** The cloud as this agent may use it, with temporary credentials for its certificate. */
export interface AgentCloud extends CloudTime {
  credentials: () => Promise<TemporaryCredentials>;
  random: () => number;
  /** The bucket, as far as this agent's rights go. */
  store: ObjectStore;
}

export function openAgentCloud(
  identity: Identity,
  { now, random }: { now: () => Date; random: () => number },
): AgentCloud {
  const { bucket, region, awsEndpoint } = identity.enrolment;
  const clock = new CloudClock(() => now().getTime());
  const obtain = certificateCredentials(identity);
  const fresh = async () => {
    const issued = await obtain();
    clock.hear(issued.issuedAt);
    return issued;
  };
  const credentials = cachedUntilExpiry(fresh, ({ expiration }) => expiration.getTime(), clock.now);
  const endpoint = awsEndpoint ? { endpoint: awsEndpoint } : {};
  const s3 = new S3Store({ bucket, region, credentials, now: clock.now, ...endpoint });
  const hearTime = async () => (await fresh()).issuedAt !== undefined;
  return { credentials, now: clock.now, hearTime, random, store: new RetryingStore(s3, { random }) };
}

/** Remembers the first success; a failure is tried again by the next caller. */
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
