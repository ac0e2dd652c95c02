/**
 * Disks of a machine with RAID1, LUKS and LVM, with ext4, XFS, btrfs, vfat, swap and raw volumes, are
 * protected while a program writes to all of them. Its power fails twice: between two runs, and in the middle
 * of a freeze. Each recovery point is compared with the disks as they were when they were frozen.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReadableRepository } from "#agent/cloud/readable-repository.ts";
import { readPoint } from "#agent/repository/points.ts";
import type { PointDisk } from "#shared/format/point.ts";
import type { Run } from "#shared/protocol/protection.ts";
import { copyDisk } from "../machines/disk/copy-disk.ts";
import { type MachineSite, openMachineSite } from "../machines/machine-site.ts";
import { answered } from "../site/answered.ts";
import {
  bytesOf,
  differingPages,
  type LayeredCopy,
  openLayers,
  type RecordsOfCopy,
  recordsOfCopy,
} from "../testing/layered-copy.ts";
import {
  DISK_BYTES,
  FROZEN,
  layeredMachine,
  MEMBERS,
  PARTITIONED,
  PARTITIONS,
  THAWING,
  WRITTEN,
} from "../testing/layered-machine.ts";
import { until } from "../testing/until.ts";
import { RECORD_BYTES, type WrittenRecord } from "../testing/written-record.ts";

/** The first start makes the volumes. */
const START_LIMIT_MS = 900_000;
const FREEZE_LIMIT_MS = 1_200_000;
const RUN_LIMIT_SECONDS = 900;
const LIMIT_MS = 5_400_000;
const PAGE_BYTES = 4096;
/** Of a member of the array. */
const SUPERBLOCK_AT = 4096;
const BLOCK_BYTES = 65_536;
const RARELY = { intervalSeconds: 30 * 86_400, retention: { last: 50 } };
const log = (): void => {};

let dir: string;
let site: MachineSite;
let volumeKey: Buffer;
let planId: string;
/** The runs that have ended. */
const runs = new Set<string>();

interface JudgedPoint {
  run: Run;
  records: RecordsOfCopy;
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-layers-"));
  const machine = await layeredMachine(dir, log);
  volumeKey = machine.volumeKey;
  site = await openMachineSite({
    ...{ dir, firmware: "bios", original: machine.original, connectLimitMs: START_LIMIT_MS, log },
  });
  await site.machine.waitFor(WRITTEN, 0, START_LIMIT_MS);
}, 1_800_000);

afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const imagesOf = (what: string): string[] => DISK_BYTES.map((_, disk) => join(dir, `${what}-${disk}.raw`));

/** Not for the system's disk, of which much more would have to be read. */
async function startPlan(): Promise<void> {
  const { inventory } = await site.installation.source();
  const disks = (inventory?.disks ?? [])
    .filter(({ sizeBytes }) => DISK_BYTES.includes(sizeBytes))
    .map(({ name }) => name);
  const body = { sourceId: site.sourceId, disks, ...RARELY };
  planId = (await site.installation.api.createPlan({ body })).id;
}

async function runPlan(): Promise<void> {
  await site.installation.api.runPlan({ parameters: { id: planId } });
}

/** Waits for the next freeze, and copies the disks as they are then. */
async function copyFrozen(from: number): Promise<void> {
  const { machine, disks } = site;
  const frozen = await machine.waitFor(FROZEN, from, FREEZE_LIMIT_MS);
  await machine.whilePaused(async () => {
    if (THAWING.test(machine.console.slice(frozen))) throw new Error("the machine was not paused in time");
    for (const [disk, path] of imagesOf("frozen").entries()) await copyDisk(disks[disk + 1] ?? "", path);
  });
}

/** The run that has ended since the last call. */
async function endedRun(): Promise<Run> {
  const find = async () => {
    const call = { parameters: { id: planId }, query: {} };
    const answer = await answered(() => site.installation.api.listRuns(call));
    return answer?.items.find(({ id, endedAt }) => endedAt !== undefined && !runs.has(id));
  };
  const run = await until("the run to end", find, RUN_LIMIT_SECONDS, 1000);
  runs.add(run.id);
  return run;
}

async function disksOfPoint(pointId: string): Promise<PointDisk[]> {
  const { api } = site.installation;
  const repository = await openReadableRepository({
    requestAccess: () => api.openSourceData({ parameters: { id: site.sourceId } }),
    now: Date.now,
    random: Math.random,
  });
  const { disks } = await readPoint(repository, pointId);
  return DISK_BYTES.map((sizeBytes) => {
    const disk = disks.find((each) => each.sizeBytes === sizeBytes);
    return disk ?? expect.unreachable(`${pointId} has no disk of ${sizeBytes} bytes`);
  });
}

const WRITTEN_RAW = String.raw`\(.+\) is written to without a file system, which a freeze does not stop`;
const MEMBER = {
  volumes: { "layers-ext4": "file-system", "layers-raw": "crash", "layers-xfs": "file-system" },
  consistency: "crash",
  viewReason: new RegExp(`^it is in use; layers-raw ${WRITTEN_RAW}$`),
};
/** What a recovery point has to say of each disk. */
const EXPECTED = [
  ...[MEMBER, MEMBER],
  {
    volumes: { "partition 1": "crash", "partition 3": "file-system", "partition 4": "crash", swap: "crash" },
    consistency: "crash",
    viewReason: new RegExp(
      `^it is in use; partition 1 \\(vfat\\) cannot be frozen; partition 4 ${WRITTEN_RAW}; swap \\(swap\\) is swap space`,
    ),
  },
];

/** Requires that a point says of each disk and volume what holds for it, and how the disk was read. */
function requireWords({ result }: Run, disks: readonly PointDisk[], mode: RegExp): void {
  for (const [index, { volumes, consistency, viewReason }] of EXPECTED.entries()) {
    const disk = disks[index] ?? expect.unreachable();
    expect(Object.fromEntries(disk.volumes.map((each) => [each.name, each.consistency]))).toEqual(volumes);
    const ofRun = result?.disks.find(({ name }) => name === disk.name) ?? expect.unreachable();
    expect(ofRun).toMatchObject({ view: "pre-copy", consistency, trackerDisagreements: 0 });
    expect(ofRun.viewReason).toMatch(viewReason);
    expect([ofRun.mode, ofRun.modeReason].join(" ").trim()).toMatch(mode);
  }
}

/** The pages of each disk in which what was restored is not what was frozen. */
function differences(): Promise<number[][]> {
  const frozen = imagesOf("frozen");
  return Promise.all(
    imagesOf("restored").map((path, disk) => differingPages(path, frozen[disk] ?? expect.unreachable())),
  );
}

/** Requires that a point is the frozen disks, besides what no freeze stops and what is left out. */
function requireFrozenView(
  differing: readonly number[][],
  { members }: LayeredCopy,
  { volume }: RecordsOfCopy,
): void {
  for (const [member, disk] of MEMBERS.entries()) {
    const { rawOffsetBytes, volumes } = members[member] ?? expect.unreachable();
    const written = (volume[member]?.length ?? 0) * RECORD_BYTES;
    // Later records, and the array's note that it is being written to.
    const later = rawOffsetBytes + written - (written % PAGE_BYTES);
    const isLater = (at: number) => at >= later && at < rawOffsetBytes + volumes.raw.sizeBytes;
    expect(differing[disk]?.filter((at) => at !== SUPERBLOCK_AT && !isLater(at))).toEqual([]);
  }
  const unstopped = PARTITIONS.filter(({ type }) => type !== "btrfs");
  const isUnstopped = (at: number) =>
    unstopped.some(({ offsetBytes, sizeBytes }) => at >= offsetBytes && at < offsetBytes + sizeBytes);
  expect(differing[PARTITIONED]?.filter((at) => !isUnstopped(at))).toEqual([]);
}

/** Requires that of swap space the header was copied, and nothing else. */
async function requireSwapHeader({ partitions: { swap } }: LayeredCopy): Promise<void> {
  const [copied, inUse] = [
    await bytesOf(swap),
    await bytesOf({ ...swap, file: imagesOf("frozen")[PARTITIONED] ?? "" }),
  ];
  expect(copied.subarray(0, PAGE_BYTES).equals(inUse.subarray(0, PAGE_BYTES))).toBe(true);
  expect(copied.subarray(BLOCK_BYTES).some((byte) => byte !== 0)).toBe(false);
  expect(inUse.subarray(BLOCK_BYTES).some((byte) => byte !== 0)).toBe(true);
}

/** Restores every disk of the run's point, and requires that it is what the point says. */
async function judge(run: Run, mode: RegExp): Promise<JudgedPoint> {
  expect(run, JSON.stringify(run)).toMatchObject({ state: "completed", result: { consistency: "crash" } });
  const disks = await disksOfPoint(run.pointId ?? "");
  requireWords(run, disks, mode);
  const images = imagesOf("restored");
  for (const [index, { name }] of disks.entries())
    await site.installation.json([
      ...["restore", run.pointId ?? "", "--disk", name],
      ...["--to", images[index] ?? expect.unreachable()],
    ]);
  const differing = await differences();
  const workDir = join(dir, "work");
  await mkdir(workDir, { recursive: true });
  const copy = await openLayers(images, { volumeKey, workDir });
  const records = await recordsOfCopy(copy, workDir);
  requireFrozenView(differing, copy, records);
  await requireSwapHeader(copy);
  for (const path of images) await rm(path);
  return { run, records };
}

/** The sequences of records that programs wrote one after another, as a point has them. */
function sequencesOf({ together, volume, vfat, partition }: RecordsOfCopy): (readonly WrittenRecord[])[] {
  return [...together, ...volume, vfat, partition];
}

/**
 * Requires that a point has the first records of each sequence without a gap, up to the last that was written
 * before its instant.
 */
function requireInstant({ run: { result }, records }: JudgedPoint, later: RecordsOfCopy): void {
  const [from, to] = [result?.frozen?.from, result?.frozen?.until].map((time) => Date.parse(time ?? ""));
  const sequences = sequencesOf(later);
  for (const [index, sequence] of sequencesOf(records).entries()) {
    const all = sequences[index] ?? [];
    expect(all.slice(0, sequence.length)).toEqual(sequence);
    expect(sequence.at(-1)?.sentAt).toBeLessThanOrEqual(to ?? Number.NaN);
    // The next one was on its way then, and the one after it was made when that one was on the disk.
    const next = all[sequence.length + 1];
    if (next) expect(next.sentAt).toBeGreaterThanOrEqual(from ?? Number.NaN);
  }
  for (const written of records.together)
    expect(written.map(({ order }) => order)).toEqual(written.map((_, index) => index));
}

test("every point has the bytes of its instant, over power cuts between runs and in the middle of a freeze", {
  timeout: LIMIT_MS,
}, async () => {
  const { machine } = site;
  const points: JudgedPoint[] = [];
  let from = machine.console.length;
  await startPlan();
  await copyFrozen(from);
  const first = await endedRun();
  await machine.cutPower();
  points.push(await judge(first, /^hash-scan this is its first copy$/));
  from = machine.console.length;
  await machine.powerOn();
  await machine.waitFor(WRITTEN, from, START_LIMIT_MS);
  await runPlan();
  await copyFrozen(from);
  points.push(await judge(await endedRun(), /^hash-scan the machine was restarted$/));
  from = machine.console.length;
  await runPlan();
  await machine.waitFor(FROZEN, from, FREEZE_LIMIT_MS);
  await machine.cutPower();
  from = machine.console.length;
  await machine.powerOn();
  await copyFrozen(from);
  points.push(await judge(await endedRun(), /^hash-scan the machine was restarted$/));
  await machine.waitFor(WRITTEN, from, START_LIMIT_MS);
  from = machine.console.length;
  await runPlan();
  await copyFrozen(from);
  points.push(await judge(await endedRun(), /^tracked$/));
  const last = points.at(-1) ?? expect.unreachable();
  for (const point of points) requireInstant(point, last.records);
});
