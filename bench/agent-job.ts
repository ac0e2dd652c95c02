/** The work of `agent-process.ts`. */
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
import { RetryingStore } from "#agent/store/retrying-store.ts";
import { S3Store } from "#agent/store/s3-store.ts";
import type { Point } from "#shared/format/point.ts";
import { peakKiB } from "./run-process.ts";

export interface AgentJob {
  kind: "capture" | "restore" | "verify" | "check";
  s3: {
    url: string;
    region: string;
    bucket: string;
    credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string };
  };
  image: string;
  pointId: string;
  parentId?: string;
  /** Whether a capture leaves out what the image's file systems do not use. */
  usedOnly?: boolean;
}

const job: AgentJob = JSON.parse(process.argv[2] ?? "{}");
const { url: endpoint, region, bucket, credentials } = job.s3;
const remote = new S3Store({ bucket, region, endpoint, credentials: async () => credentials, now: Date.now });
const store = new RetryingStore(remote, { random: Math.random });
const repository = {
  sourceId: "bench",
  store,
  dataKey: await obtainDataKey(store, new SealedKeys(Buffer.alloc(32, 1)), "bench"),
};

async function capture(): Promise<object> {
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
  });
  await disk.close();
  const { pointId } = job;
  const createdAt = new Date(captured.startedAt).toISOString();
  const point: Point = {
    pointId,
    sourceId: "bench",
    createdAt,
    parentId: job.parentId ?? null,
    agentVersion: "bench",
    disks: [{ ...captured.disk, consistency: "crash", volumes: [], wholeCopies: [] }],
  };
  await commitPoint(repository, point, { startedAt: captured.startedAt, now: Date.now() });
  return captured.statistics;
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

const jobs = { capture, restore, verify: restore, check: () => checkRepository({ repository }) };
const result = await jobs[job.kind]();
remote.close();
console.log(JSON.stringify({ ...result, peakMiB: peakKiB("self") / 1024 }));
