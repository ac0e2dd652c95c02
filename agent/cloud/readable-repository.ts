import type { DataAccess } from "#shared/protocol/resources.ts";
import { loadDataKey } from "../repository/data-key.ts";
import { KmsKeys } from "../repository/kms-keys.ts";
import type { Repository } from "../repository/repository.ts";
import { RetryingStore } from "../store/retrying-store.ts";
import { S3Store } from "../store/s3-store.ts";
import { cachedUntilExpiry } from "./expiring.ts";

export interface ReadablePorts {
  /** Gets temporary rights from the control plane to read one source server's repository. */
  requestAccess: () => Promise<DataAccess>;
  /** Where this machine reaches AWS's services, if elsewhere than the control plane says. */
  endpoint?: string | undefined;
  /** Milliseconds since 1970. */
  now: () => number;
  random: () => number;
}

/**
 * Another source's repository, for reading. The rights are renewed before they expire, so a restore can take
 * days.
 */
export async function openReadableRepository({
  requestAccess,
  endpoint: own,
  now,
  random,
}: ReadablePorts): Promise<Repository> {
  const access = cachedUntilExpiry(
    requestAccess,
    ({ credentials }) => Date.parse(credentials.expiresAt),
    now,
  );
  const { sourceId, bucket, region, ...told } = await access();
  const endpoint = own ?? told.endpoint;
  const credentials = async () => {
    const { expiresAt, ...keys } = (await access()).credentials;
    return { ...keys, expiration: new Date(expiresAt) };
  };
  const at = endpoint ? { endpoint } : {};
  const store = new RetryingStore(new S3Store({ bucket, region, credentials, now, ...at }), { random });
  // The wrapped key names the KMS key that wrapped it.
  const kms = new KmsKeys({ region, credentials, now, ...at });
  return { sourceId, store, dataKey: await loadDataKey(store, kms, sourceId) };
}
