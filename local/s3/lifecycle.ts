import { setImmediate } from "node:timers/promises";
import type { Clock, Timer } from "../core/service.ts";
import type { BucketRegistry } from "./buckets.ts";
import type { Metadata, Position } from "./metadata.ts";
import type { Bucket, LifecycleRule, ObjectVersion } from "./model.ts";
import type { MultipartStore } from "./multipart.ts";
import type { ObjectStore } from "./objects.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

const VERSIONS_PER_TURN = 500;

/** Without a version id it means the object itself, as in a plain delete. */
interface ExpiredVersion {
  key: string;
  versionId?: string;
  sequence: number;
}

interface SweptKeys {
  expired: ExpiredVersion[];
  next?: Position;
}

export interface LifecycleOptions {
  buckets: BucketRegistry;
  metadata: Metadata;
  objects: ObjectStore;
  multipart: MultipartStore;
  clock: Clock;
  /** Called with an error that a background sweep throws. The next sweep still runs. */
  report: (error: unknown) => void;
}

/**
 * Expires objects by the buckets' lifecycle rules, at the start and after every midnight UTC. S3 counts whole
 * days and rounds up to the next midnight.
 */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  #timer: Timer | undefined;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(options: LifecycleOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, report } = this.#options;
    this.#sweeping = this.#sweeping.then(() => this.sweep()).catch(report);
    const now = clock.now();
    this.#timer = clock.schedule(startOfDay(now) + DAY_MS - now, () => this.start());
  }

  /** Returns once a sweep under way has ended. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#sweeping;
  }

  /** Applies every rule once. */
  async sweep(): Promise<void> {
    const today = startOfDay(this.#options.clock.now());
    for (const bucket of this.#options.buckets.all()) {
      for (const rule of bucket.lifecycle) {
        await this.#expireVersions(bucket, rule, today);
        await this.#abortUploads(bucket, rule, today);
      }
    }
  }

  async #expireVersions(bucket: Bucket, rule: LifecycleRule, today: number): Promise<void> {
    let from: Position | undefined = {
      key: Buffer.from(rule.prefix),
      belowSequence: Number.MAX_SAFE_INTEGER,
    };
    while (from) {
      const { expired, next }: SweptKeys = this.#sweepKeys(bucket, rule, today, from);
      await Promise.all(expired.map((version) => this.#expire(bucket, version)));
      from = next;
      // Requests come first: sweeping a large bucket must not delay them.
      await setImmediate();
    }
  }

  async #expire(bucket: Bucket, { key, versionId, sequence }: ExpiredVersion): Promise<void> {
    const { metadata, objects } = this.#options;
    // The old version's age must not expire an object that was written since.
    if (versionId === undefined && metadata.latest(bucket.name, key)?.sequence !== sequence) return;
    await objects.remove(bucket, key, versionId);
  }

  /**
   * Evaluates all versions of several keys. Collects everything before it removes anything, because removals
   * change the rows being read.
   */
  #sweepKeys(bucket: Bucket, rule: LifecycleRule, today: number, from: Position): SweptKeys {
    const { metadata } = this.#options;
    const expired: ExpiredVersion[] = [];
    let read = 0;
    let versionsOfKey: ObjectVersion[] = [];
    for (const version of metadata.versions(bucket.name, from)) {
      if (!version.key.startsWith(rule.prefix)) break;
      const previous = versionsOfKey[0]?.key;
      if (previous !== undefined && previous !== version.key) {
        expired.push(...expiredOf(versionsOfKey, rule, today, metadata));
        versionsOfKey = [];
        if (read >= VERSIONS_PER_TURN)
          return { expired, next: { key: Buffer.from(previous), belowSequence: 0 } };
      }
      versionsOfKey.push(version);
      read += 1;
    }
    expired.push(...expiredOf(versionsOfKey, rule, today, metadata));
    return { expired };
  }

  async #abortUploads(bucket: Bucket, rule: LifecycleRule, today: number): Promise<void> {
    const { metadata, multipart } = this.#options;
    const { prefix, abortUploadDays } = rule;
    if (abortUploadDays === undefined) return;
    for (const { id, key, startedAt } of metadata.uploads(bucket.name)) {
      if (!key.startsWith(prefix) || !isOlder(startedAt, abortUploadDays, today)) continue;
      // It may have been completed while earlier ones were aborted.
      if (metadata.upload(id)) await multipart.abort({ bucket, key, uploadId: id });
    }
  }
}

/** The expired versions among one key's versions (newest first). */
function expiredOf(
  versions: readonly ObjectVersion[],
  rule: LifecycleRule,
  today: number,
  metadata: Metadata,
): ExpiredVersion[] {
  const [latest, ...noncurrent] = versions;
  if (!latest) return [];
  const { key } = latest;
  const expired: ExpiredVersion[] = [];
  const aged = rule.expirationDays !== undefined && isOlder(latest.modifiedAt, rule.expirationDays, today);
  if (latest.deleteMarker) {
    if (noncurrent.length === 0 && (aged || rule.expiredDeleteMarkers))
      expired.push({ key, versionId: latest.versionId, sequence: latest.sequence });
  } else if (aged) {
    expired.push({ key, sequence: latest.sequence });
  }
  if (rule.noncurrent) {
    const { days, keepNewest } = rule.noncurrent;
    for (const { sequence, versionId } of noncurrent.slice(keepNewest)) {
      const since = metadata.noncurrentSince(sequence);
      if (since !== undefined && isOlder(since, days, today)) expired.push({ key, versionId, sequence });
    }
  }
  return expired;
}

/** Whether `days` after `time`, rounded up to a midnight, have passed at the midnight `today`. */
function isOlder(time: number, days: number, today: number): boolean {
  return time + days * DAY_MS <= today;
}

function startOfDay(time: number): number {
  return time - (time % DAY_MS);
}
