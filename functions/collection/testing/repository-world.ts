import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { S3Client } from "@aws-sdk/client-s3";
import { captureDisk } from "#agent/capture/capture.ts";
import type { CaptureJournal } from "#agent/capture/journal.ts";
import { TestDisk } from "#agent/disk/testing/test-disk.ts";
import { obtainDataKey } from "#agent/repository/data-key.ts";
import { commitPoint, listPoints, readPoint } from "#agent/repository/points.ts";
import type { Repository } from "#agent/repository/repository.ts";
import { SealedKeys } from "#agent/repository/testing/sealed-keys.ts";
import { S3Store } from "#agent/store/s3-store.ts";
import { ManualClock } from "#local/core/clock.ts";
import { SmallCloud } from "#local/gateway/testing/small-cloud.ts";
import { PolicyEvaluator } from "#local/iam/policy-evaluator.ts";
import { openS3, type S3 } from "#local/s3/s3.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { PointDisk } from "#shared/format/point.ts";
import { S3PruneMarks } from "../../aws/s3-prune-marks.ts";
import { S3Repository } from "../../aws/s3-repository.ts";
import type { DataKeys } from "../../ports.ts";
import type { Collected } from "../collect.ts";
import { wholeCollection } from "./whole-collection.ts";

const MIB = 1024 * 1024;
const DAY_MS = 24 * 3_600_000;

/**
 * A disk with three leaves of which few blocks are not zeros. Disks of two seeds share no block; `changes`
 * are blocks that differ.
 */
export function sparseDisk(seed: number, changes: readonly number[] = []): Buffer {
  const disk = Buffer.alloc(40 * MIB);
  const fill = (block: number, from: number) => {
    let state = from;
    for (let at = block * BLOCK_BYTES; at < (block + 1) * BLOCK_BYTES; at += 4) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      disk.writeUInt32LE(state, at);
    }
  };
  for (let block = 0; block < 600; block += 40) fill(block, seed * 1000 + block + 1);
  for (const [number, block] of changes.entries()) fill(block, seed * 1000 + 777_000 + number);
  return disk;
}

/** What another process needs to use the repository. */
export interface RepositoryAccess {
  endpoint: string;
  region: string;
  bucket: string;
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string };
  sourceId: string;
  /** The key that wraps the data key, in hex. */
  masterKey: string;
  /** How far the repository's clock is ahead of the machine's. */
  aheadMs: number;
}

/** Is moved without firing timers: those of months take minutes, and nothing here waits for one. */
class JumpingClock extends ManualClock {
  #ahead = 0;

  jump(ms: number): void {
    this.#ahead += ms;
  }

  override now(): number {
    return super.now() + this.#ahead;
  }
}

/**
 * One source's repository in the embedded S3, with a clock that tests move: the agent's real captures, the
 * control plane's marks, and collect-garbage.
 */
export class RepositoryWorld implements AsyncDisposable {
  readonly sourceId = "agt_1";
  readonly clock: JumpingClock;
  readonly objects: S3Repository;
  readonly marks: S3PruneMarks;
  readonly repository: Repository;
  readonly #keys: SealedKeys;
  readonly #client: S3Client;
  readonly #cloud: SmallCloud;
  readonly #s3: S3;
  readonly #store: S3Store;
  readonly #folder: string;
  readonly #access: () => RepositoryAccess;
  /** Since when something holds the source. */
  heldSince: number | undefined;
  #collections = 0;

  static async start(): Promise<RepositoryWorld> {
    const clock = new JumpingClock(Date.now());
    const folder = await mkdtemp(join(tmpdir(), "repository-world-"));
    const s3 = await openS3({
      folder,
      clock,
      authorizer: new PolicyEvaluator(),
      keys: { authorizeKeyUse: () => undefined },
      report: (error) => {
        throw error;
      },
    });
    const cloud = await SmallCloud.start({ services: [s3.service], clock });
    const resource = { type: "AWS::S3::Bucket", stack: "test", logicalId: "B", generatedName: "bucket" };
    const properties = { BucketName: "bucket", VersioningConfiguration: { Status: "Enabled" } };
    await s3.provider.provision({ ...resource, properties });
    const rights = { Effect: "Allow" as const, Action: "s3:*", Resource: ["arn:aws:s3:::bucket*"] };
    const role = await cloud.addRole("all", rights);
    const masterKey = randomBytes(32);
    const keys = new SealedKeys(masterKey);
    const store = new S3Store({
      bucket: "bucket",
      region: cloud.config(cloud.credentials(role)).region,
      endpoint: cloud.url,
      credentials: async () => cloud.credentials(role),
      now: () => clock.now(),
    });
    const dataKey = await obtainDataKey(store, keys, "agt_1");
    return new RepositoryWorld({ clock, cloud, s3, folder, keys, masterKey, store, dataKey, role });
  }

  private constructor(parts: {
    clock: JumpingClock;
    cloud: SmallCloud;
    s3: S3;
    folder: string;
    keys: SealedKeys;
    masterKey: Buffer;
    store: S3Store;
    dataKey: Buffer;
    role: string;
  }) {
    this.clock = parts.clock;
    this.repository = { sourceId: this.sourceId, store: parts.store, dataKey: parts.dataKey };
    this.#store = parts.store;
    this.#cloud = parts.cloud;
    this.#s3 = parts.s3;
    this.#folder = parts.folder;
    this.#keys = parts.keys;
    const { cloud, role, masterKey } = parts;
    this.#access = () => ({
      ...cloud.config(cloud.credentials(role)),
      ...{ bucket: "bucket", sourceId: this.sourceId, masterKey: masterKey.toString("hex") },
      aheadMs: this.clock.now() - Date.now(),
    });
    this.#client = new S3Client({
      ...cloud.config(cloud.credentials(role)),
      // The clock jumps by days, so each request gets a session of its own.
      credentials: async () => ({ ...cloud.credentials(role), expiration: new Date() }),
      forcePathStyle: true,
    });
    this.objects = new S3Repository(this.#client, "bucket");
    this.marks = new S3PruneMarks(this.#client, "bucket");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
    this.#store.close();
    await this.#cloud[Symbol.asyncDispose]();
    await this.#s3.service.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  days(days: number): void {
    this.clock.jump(Math.round(days * DAY_MS));
    this.#client.config.systemClockOffset = this.clock.now() - Date.now();
  }

  readonly keys: DataKeys = { unwrap: (wrapped, context) => this.#keys.decrypt(wrapped, context) };

  /** Good until the clock is moved. */
  access(): RepositoryAccess {
    return this.#access();
  }

  /** Reads the disk as a capture does, and returns how to commit the point later. */
  async capture(
    pointId: string,
    content: Buffer,
    options: { parentId?: string | null; journal?: CaptureJournal } = {},
  ): Promise<() => Promise<void>> {
    const startedAt = this.clock.now();
    const parentId = options.parentId === undefined ? await this.newest() : options.parentId;
    const previous = parentId === null ? undefined : await this.diskOf(parentId);
    const captured = await captureDisk({
      repository: this.repository,
      disk: new TestDisk(content),
      diskName: "sda",
      now: () => this.clock.now(),
      random: Math.random,
      // Small packs, so that a small disk has several.
      settings: { packBytes: MIB / 4, mapPackBytes: MIB / 8, knownBlocks: 4096, workers: 1 },
      ...(previous ? { previous } : {}),
      ...(options.journal ? { journal: options.journal } : {}),
    });
    const view = { consistency: "crash" as const, volumes: [], wholeCopies: [] };
    const point = {
      pointId,
      sourceId: this.sourceId,
      parentId,
      agentVersion: "1",
      disks: [{ ...captured.disk, ...view }],
    };
    return () => {
      const now = this.clock.now();
      const createdAt = new Date(now).toISOString();
      return commitPoint(this.repository, { ...point, createdAt }, { startedAt, now });
    };
  }

  async addPoint(pointId: string, content: Buffer, parentId?: string | null): Promise<void> {
    await (await this.capture(pointId, content, parentId === undefined ? {} : { parentId }))();
  }

  /** The newest point that is not marked, as the agent chooses a capture's parent. */
  async newest(): Promise<string | null> {
    return (await listPoints(this.repository)).sort().at(-1) ?? null;
  }

  async diskOf(pointId: string): Promise<PointDisk> {
    const [disk] = (await readPoint(this.repository, pointId)).disks;
    if (!disk) throw new Error(`${pointId} has no disk`);
    return disk;
  }

  mark(pointId: string): Promise<void> {
    return this.marks.mark(this.sourceId, pointId);
  }

  /** One whole collection; `stop` ends each of its slices, which by default is never. */
  async collect(options: { dryRun?: boolean; stop?: () => boolean } = {}): Promise<Collected> {
    this.#collections += 1;
    return wholeCollection(
      {
        collectionId: `col_${this.#collections}`,
        sourceId: this.sourceId,
        dryRun: options.dryRun ?? false,
      },
      {
        objects: this.objects,
        keys: this.keys,
        heldSince: async () => this.heldSince,
        stop: options.stop ?? (() => false),
      },
    );
  }

  /** The keys below the source's prefix. */
  async allKeys(): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of this.objects.list(`sources/${this.sourceId}/`)) found.push(key);
    return found;
  }

  async packs(): Promise<number> {
    return (await this.allKeys()).filter((key) => key.includes("/packs/")).length;
  }
}
