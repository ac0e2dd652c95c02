/** The work of `agent-process.ts`. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { captureDisk } from "#agent/capture/capture.ts";
import { FileJournal } from "#agent/capture/journal.ts";
import { openDisk } from "#agent/disk/disk-source.ts";
import { createDiskImage, openDiskImage } from "#agent/disk-image/disk-image.ts";
import { diskUsageOf } from "#agent/filesystems/disk-usage.ts";
import { LocalBootMachine } from "#agent/machine/boot-machine.ts";
import { checkRepository } from "#agent/repository/check.ts";
import { obtainDataKey } from "#agent/repository/data-key.ts";
import { commitPoint, readPoint } from "#agent/repository/points.ts";
import { SealedKeys } from "#agent/repository/testing/sealed-keys.ts";
import { restoreDisk } from "#agent/restore/restore.ts";
import { verifyDisk } from "#agent/restore/verify.ts";
import { applyPoint } from "#agent/standby/apply.ts";
import { Standbys } from "#agent/standby/standbys.ts";
import { RetryingStore } from "#agent/store/retrying-store.ts";
import { S3Store } from "#agent/store/s3-store.ts";
import { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { Point } from "#shared/format/point.ts";
import { peakKiB } from "./run-process.ts";

export interface AgentJob {
  kind: "capture" | "restore" | "verify" | "check" | "apply";
  s3: {
    url: string;
    region: string;
    bucket: string;
    credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string };
  };
  /** For `apply`: the folder of the target host. */
  image: string;
  pointId: string;
  parentId?: string;
  /** A file with the numbers of the only blocks that a capture reads, as a tracker would name them. */
  changed?: string;
  /** Whether a capture leaves out what the image's file systems do not use. */
  usedOnly?: boolean;
}

const SOURCE = "agt_bench";
const job: AgentJob = JSON.parse(process.argv[2] ?? "{}");
const { url: endpoint, region, bucket, credentials } = job.s3;
const remote = new S3Store({ bucket, region, endpoint, credentials: async () => credentials, now: Date.now });
const store = new RetryingStore(remote, { random: Math.random });
const repository = {
  sourceId: SOURCE,
  store,
  dataKey: await obtainDataKey(store, new SealedKeys(Buffer.alloc(32, 1)), SOURCE),
};

/** `seconds` counts without the start of the process. */
async function capture(): Promise<object> {
  const began = performance.now();
  const used = job.usedOnly ? (await diskUsageOf(job.image, new LocalBootMachine())).used : undefined;
  const disk = await openDisk(job.image);
  const previous = job.parentId ? (await readPoint(repository, job.parentId)).disks[0] : undefined;
  const captured = await captureDisk({
    repository,
    disk,
    diskName: "disk",
    now: Date.now,
    random: Math.random,
    ...(used ? { used, journal: new FileJournal(`${job.image}.journal`) } : {}),
    ...(previous ? { previous } : {}),
    ...(job.changed ? { changed: await blocksIn(job.changed, disk.sizeBytes) } : {}),
  });
  await disk.close();
  const { pointId } = job;
  const createdAt = new Date(captured.startedAt).toISOString();
  const point: Point = {
    pointId,
    sourceId: SOURCE,
    createdAt,
    parentId: job.parentId ?? null,
    agentVersion: "bench",
    disks: [{ ...captured.disk, consistency: "crash", volumes: [], wholeCopies: [] }],
  };
  await commitPoint(repository, point, { startedAt: captured.startedAt, now: Date.now() });
  return { ...captured.statistics, seconds: (performance.now() - began) / 1000 };
}

async function blocksIn(path: string, sizeBytes: number): Promise<BlockSet> {
  const blocks = new BlockSet(sizeBytes, BLOCK_BYTES);
  for (const block of JSON.parse(await readFile(path, "utf8"))) blocks.add(block * BLOCK_BYTES, BLOCK_BYTES);
  return blocks;
}

async function restore(): Promise<object> {
  const [disk] = (await readPoint(repository, job.pointId)).disks;
  if (!disk) throw new Error("the point has no disk");
  if (job.kind === "verify") {
    const reader = await openDiskImage(job.image, "raw");
    const bytes = await verifyDisk({ repository, disk, reader });
    await reader.close();
    return { bytes };
  }
  const { sizeBytes, usedBytes } = disk;
  const sink = await createDiskImage({ path: job.image, format: "raw", sizeBytes, contentBytes: usedBytes });
  const statistics = await restoreDisk({ repository, disk, sink });
  await sink.finish();
  return statistics;
}

/** Makes a standby equal to a point, as a running agent does; its own start does not count. */
async function apply(): Promise<object> {
  const standbys = new Standbys({
    ...{ imagesDir: join(job.image, "images"), dataDir: join(job.image, "agent") },
    ...{ key: Buffer.alloc(32, 1), now: () => new Date() },
  });
  const began = performance.now();
  const point = await readPoint(repository, job.pointId);
  const sampling = { fraction: 0.01, maxBytes: 256 * 2 ** 20, random: Math.random };
  const applied = await applyPoint({ standbys, planId: "plan_1", repository, point, sampling });
  return { ...applied, seconds: (performance.now() - began) / 1000 };
}

const jobs = { capture, restore, verify: restore, apply, check: () => checkRepository({ repository }) };
const result = await jobs[job.kind]();
remote.close();
console.log(JSON.stringify({ ...result, peakMiB: peakKiB("self") / 1024 }));
