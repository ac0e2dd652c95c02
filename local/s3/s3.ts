import { mkdir } from "node:fs/promises";
import type { Authorizer, Clock, ResourceProvider, Service } from "../core/service.ts";
import { Access, type KeyUse } from "./access.ts";
import { BucketProvider } from "./bucket-provider.ts";
import { BucketRegistry } from "./buckets.ts";
import { ContentStore } from "./content-store.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Metadata } from "./metadata.ts";
import { MultipartStore } from "./multipart.ts";
import { IdSource, partPath } from "./names.ts";
import { filesOf, ObjectStore } from "./objects.ts";
import { type Faults, S3Service } from "./s3-service.ts";

export interface S3Options {
  /** The store's own folder, created if it does not exist. Only one process at a time can use it. */
  folder: string;
  clock: Clock;
  authorizer: Authorizer;
  keys: KeyUse;
  /** Called with background errors: a failed lifecycle sweep, or content that is missing at the start. */
  report: (error: unknown) => void;
  /** For tests. */
  faults?: Faults;
}

export interface S3 {
  service: Service;
  /**
   * Takes a snapshot of all objects: writes their metadata to `file` and keeps their contents until the
   * result is disposed of.
   */
  snapshotInto(file: string): AsyncDisposable;
  provider: ResourceProvider;
}

/** Opens the store, cleans up after a crash, and starts the lifecycle sweeps. Close it through `service`. */
export async function openS3({ folder, clock, authorizer, keys, report, faults }: S3Options): Promise<S3> {
  await mkdir(folder, { recursive: true });
  // Open this first, because it refuses a second process.
  const metadata = await Metadata.open(folder);
  const content = await ContentStore.open(folder);
  const buckets = new BucketRegistry(metadata);
  if (!metadata.wasClean) await reconcile(metadata, content, buckets, report);
  const ids = new IdSource(clock, metadata.starts);
  const context = { metadata, content, clock, ids };
  const objects = new ObjectStore(context);
  const multipart = new MultipartStore(context, objects);
  const lifecycle = new Lifecycle({ buckets, metadata, objects, multipart, clock, report });
  const service = new S3Service({
    store: { buckets, objects, multipart, metadata, access: new Access({ authorizer, keys }) },
    ids,
    ...(faults ? { faults } : {}),
    release: async () => {
      await lifecycle.stop();
      await metadata.close();
    },
  });
  lifecycle.start();
  const snapshotInto = (file: string): AsyncDisposable => {
    metadata.snapshotInto(file);
    return content.holdRemovals();
  };
  return { service, snapshotInto, provider: new BucketProvider({ buckets, clock }) };
}

/** After a crash, removes content that no commit names and reports content that is named but missing. */
async function reconcile(
  metadata: Metadata,
  content: ContentStore,
  buckets: BucketRegistry,
  report: (error: unknown) => void,
): Promise<void> {
  const known = new Set<string>();
  const fromStart = { key: Buffer.alloc(0), belowSequence: Number.MAX_SAFE_INTEGER };
  for (const { name } of buckets.all()) {
    for (const version of metadata.versions(name, fromStart))
      for (const file of filesOf(version)) known.add(file);
    for (const { id, key } of metadata.uploads(name))
      for (const part of metadata.parts(id)) known.add(partPath(name, key, id, part));
  }
  for (const file of await content.reconcile(known)) report(new Error(`the content ${file} is missing`));
}
