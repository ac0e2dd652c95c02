/** Recovery points of image files, taken by the source's executor into a store in memory. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { Progress } from "#shared/protocol/common.ts";
import { jsonBytes, MAX_MESSAGE_BYTES } from "#shared/protocol/message-size.ts";
import { TakenPoint } from "#shared/protocol/taken-point.ts";
import type { ConsistentView, LocalDisk, ViewKinds } from "../consistency/consistent-view.ts";
import { inconsistentView } from "../consistency/inconsistent.ts";
import { stillView } from "../consistency/still.ts";
import { testContent } from "../disk/testing/test-disk.ts";
import { readPoint } from "../repository/points.ts";
import { restoredDisk } from "../restore/testing/restored-disk.ts";
import {
  type GetOptions,
  type ObjectSummary,
  type PutOptions,
  StoreRefusedError,
} from "../store/object-store.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import type { CaptureDeps } from "./captures.ts";
import { takeRecoveryPointExecutor } from "./take-recovery-point.ts";
import { fitDisks } from "./taken-disk.ts";
import { executionContext } from "./testing/execution-context.ts";

const MIB = 1024 * 1024;
const folder = await mkdtemp(join(tmpdir(), "take-"));
afterAll(() => rm(folder, { recursive: true }));

/** Counts requests, and refuses to store once it has stored `allowed` objects. */
class CountedStore extends MemoryStore {
  requests: string[] = [];
  allowed = Number.POSITIVE_INFINITY;
  override async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    this.requests.push(`put ${key}`);
    if (this.allowed-- <= 0) throw new StoreRefusedError("AccessDenied", "stopped by the test");
    await super.put(key, bytes, options);
  }
  override async get(key: string, options?: GetOptions): Promise<Buffer> {
    this.requests.push(`get ${key}`);
    return super.get(key, options);
  }
  override async *list(prefix: string): AsyncIterable<ObjectSummary> {
    this.requests.push(`list ${prefix}`);
    yield* super.list(prefix);
  }
}

let store: CountedStore;
let repository: { sourceId: string; store: CountedStore; dataKey: Buffer };
let deps: CaptureDeps;
let disks: LocalDisk[];
let runs = 0;

beforeEach(async () => {
  runs += 1;
  store = new CountedStore();
  repository = { sourceId: "s1", store, dataKey: Buffer.alloc(32, 7) };
  disks = [await image("sda", testContent(17 * MIB, 3)), await image("sdb", testContent(2 * MIB, 4))];
  deps = {
    disks: async () => disks,
    repository: async () => repository,
    views: { still: watched(allUsed), inconsistent: watched(inconsistentView) },
    dataDir: join(folder, `data-${runs}`),
    agentVersion: "1",
    requests: () => store.requests.length,
    now: () => 1_900_000_000_000,
    random: Math.random,
  };
  openViews = 0;
});

let openViews = 0;
const allUsed = stillView({
  usage: async ({ path }) => {
    const { length } = await readFile(path);
    const used = BlockSet.all(length, BLOCK_BYTES);
    const partitionTable = { kind: "none" as const, partitions: [], structures: [], problems: [] };
    return { sizeBytes: length, used, consistent: true, partitionTable, volumes: [], doubts: [] };
  },
});

/** Counts the views that are open. */
function watched(open: ViewKinds["still"]): ViewKinds["still"] {
  return async (...args) => {
    const view = await open(...args);
    openViews += 1;
    const close = async () => {
      openViews -= 1;
      await view.close();
    };
    return { ...view, close };
  };
}

async function image(name: string, content: Buffer): Promise<LocalDisk> {
  const path = join(folder, `${name}-${runs}`);
  await writeFile(path, content);
  return { name, path, isStill: true };
}

const reports: Progress[] = [];
function take(pointId: string, more: { disks?: string[]; signal?: AbortSignal; ownerId?: string } = {}) {
  reports.length = 0;
  const { disks: names = ["sda", "sdb"], signal = new AbortController().signal, ownerId = "run_1" } = more;
  return takeRecoveryPointExecutor(deps)(
    { ownerId, pointId, disks: names, allBlocks: false, allowInconsistent: true },
    executionContext({ signal, progress: (progress) => reports.push(progress) }),
  );
}

async function requireRestored(pointId: string): Promise<void> {
  const point = await readPoint(repository, pointId);
  for (const disk of point.disks) {
    const bytes = await restoredDisk(repository, disk);
    const path = disks.find(({ name }) => name === disk.name)?.path ?? "";
    expect(bytes.equals(await readFile(path)), disk.name).toBe(true);
  }
}

const packs = () => [...store.objects.keys()].filter((key) => key.includes("/packs/"));

test("one command makes a recovery point of all disks, with what each cost", async () => {
  const taken = await take("rp_1");
  expect(TakenPoint.parse(taken)).toEqual(taken);
  expect(taken).toMatchObject({ pointId: "rp_1", freezeMilliseconds: 0, requests: store.requests.length });
  expect(taken.disks).toMatchObject([
    { name: "sda", sizeBytes: 17 * MIB, bytesRead: 17 * MIB, mode: "hash-scan", view: "still" },
    { name: "sdb", sizeBytes: 2 * MIB, bytesRead: 2 * MIB, modeReason: "this is its first copy" },
  ]);
  await requireRestored("rp_1");
  expect((await readPoint(repository, "rp_1")).parentId).toBeNull();
  // The disks report as one transfer.
  expect(new Set(reports.map(({ bytesTotal }) => bytesTotal))).toEqual(new Set([19 * MIB]));
  expect(reports.at(-1)).toMatchObject({ bytesDone: 19 * MIB, note: "disk 2 of 2: sdb" });
  const done = reports.map(({ bytesDone }) => bytesDone);
  expect(done).toEqual(done.toSorted((a, b) => a - b));
  expect(openViews).toBe(0);
});

test("a repeated command returns the point that the first one made, and stores nothing", async () => {
  const taken = await take("rp_1");
  const stored = [...store.objects.keys()];
  const [sda] = disks;
  if (sda) await writeFile(sda.path, testContent(17 * MIB, 9));
  const again = await take("rp_1");
  expect(again).toEqual({ ...taken, requests: expect.any(Number) });
  expect([...store.objects.keys()]).toEqual(stored);
  await rm(deps.dataDir, { recursive: true });
  await expect(take("rp_1")).rejects.toMatchObject({ name: "PointNotOursError" });
});

test("after random changes, exactly the blocks that they touch are shipped", async () => {
  await take("rp_1");
  const before = store.objects.size;
  const [sda] = disks;
  const content = await readFile(sda?.path ?? "");
  const places = [0, 70_000, 70_500, 5 * MIB, 16 * MIB + 3, 17 * MIB - 1];
  for (const [at, place] of places.entries())
    content.writeUInt8((content.readUInt8(place) + 1 + at) & 0xff, place);
  await writeFile(sda?.path ?? "", content);
  const touched = new Set(places.map((place) => Math.floor(place / BLOCK_BYTES)));
  const taken = await take("rp_2");
  expect(taken.disks.map(({ changedBytes }) => changedBytes)).toEqual([touched.size * BLOCK_BYTES, 0]);
  expect(taken.disks[0]?.modeReason).toContain("no tracker");
  await requireRestored("rp_2");
  expect((await readPoint(repository, "rp_2")).parentId).toBe("rp_1");
  expect(store.objects.size).toBeGreaterThan(before);
});

test("if nothing changed, at most 10 requests are made and less than 64 KiB is stored", async () => {
  for (const point of ["rp_1", "rp_2", "rp_3"]) await take(point);
  const before = new Map(store.objects);
  store.requests = [];
  const taken = await take("rp_4");
  expect(taken.disks.map(({ changedBytes, bytesStored }) => [changedBytes, bytesStored])).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect(store.requests.length, store.requests.join("\n")).toBeLessThanOrEqual(10);
  expect(taken.requests).toBe(store.requests.length);
  const added = [...store.objects].filter(([key]) => !before.has(key));
  expect(added.reduce((sum, [, bytes]) => sum + bytes.length, 0)).toBeLessThan(64 * 1024);
});

test("after a failure at any moment, the next attempt makes a right point and leaves no journal", async () => {
  // Four packs at most, their maps, and the point.
  for (const allowed of [0, 1, 3, 5]) {
    const pointId = `rp_${allowed + 1}`;
    repository = { ...repository, store: new CountedStore() };
    store = repository.store;
    store.allowed = allowed;
    await take(pointId).catch((error: Error) => expect(error.message).toBe("stopped by the test"));
    expect(openViews).toBe(0);
    const kept = packs();
    store.allowed = Number.POSITIVE_INFINITY;
    await take(pointId);
    await requireRestored(pointId);
    for (const key of kept) expect(store.objects.has(key)).toBe(true);
    const left = await readdir(join(deps.dataDir, "captures", "run_1"));
    expect(left.filter((name) => name.endsWith(".journal"))).toEqual([]);
  }
}, 60_000);

test("a capture continues only in a view of the same content", async () => {
  store.allowed = 1;
  await expect(take("rp_1")).rejects.toThrow("stopped by the test");
  store.allowed = Number.POSITIVE_INFINITY;
  const [sda] = disks;
  if (sda) await writeFile(sda.path, testContent(17 * MIB, 77));
  const other = { content: "another instant" };
  deps.views = { ...deps.views, still: changedView(deps.views.still, other) };
  await take("rp_1");
  await requireRestored("rp_1");
});

function changedView(
  open: ViewKinds["still"],
  change: Partial<ConsistentView["disks"][number]>,
): ViewKinds["still"] {
  return async (...args) => {
    const view = await open(...args);
    return { ...view, disks: view.disks.map((disk) => ({ ...disk, ...change })) };
  };
}

test("a view that knows what changed is believed as far as the sample agrees", async () => {
  await take("rp_1", { disks: ["sda"] });
  const [sda] = disks;
  const content = await readFile(sda?.path ?? "");
  content.fill("new", 3 * BLOCK_BYTES, 4 * BLOCK_BYTES);
  await writeFile(sda?.path ?? "", content);
  const changes = new BlockSet(content.length, BLOCK_BYTES);
  changes.add(3 * BLOCK_BYTES, 1);
  const still = deps.views.still;
  // With this random number every block is in the sample.
  deps = { ...deps, random: () => 0, views: { ...deps.views, still: changedView(still, { changes }) } };
  const tracked = await take("rp_2", { disks: ["sda"] });
  expect(tracked.disks).toMatchObject([{ mode: "tracked", changedBytes: BLOCK_BYTES }]);
  await requireRestored("rp_2");
  // From now on most blocks change, and the view does not say so.
  await writeFile(sda?.path ?? "", Buffer.alloc(content.length, "all of it"));
  const scanned = await take("rp_3", { disks: ["sda"] });
  expect(scanned.disks).toMatchObject([
    { mode: "hash-scan", modeReason: expect.stringContaining("sampled blocks") },
  ]);
  await requireRestored("rp_3");
});

test("what is kept of earlier owners is bounded", async () => {
  for (let run = 0; run < 40; run++)
    await mkdir(join(deps.dataDir, "captures", `run_${run}`), { recursive: true });
  await take("rp_1", { disks: ["sdb"], ownerId: "cnv_1" });
  expect(await readdir(join(deps.dataDir, "captures"))).toHaveLength(33);
});

test("a disk in use is captured whole and marked, while the others stay consistent", async () => {
  const [sda, sdb] = disks;
  if (sda && sdb) disks = [{ ...sda, isStill: false }, sdb];
  const taken = await take("rp_1");
  expect(taken.disks).toMatchObject([
    { view: "inconsistent", consistency: "not", viewReason: expect.stringContaining("in use") },
    { view: "still", consistency: "crash" },
  ]);
});

test("a disk that does not exist, or a cancellation, fails by name, and the view is closed", async () => {
  await expect(take("rp_1", { disks: ["sda", "sdz"] })).rejects.toMatchObject({ name: "DiskNotFoundError" });
  const cancel = new AbortController();
  cancel.abort(new Error("cancelled by the operator"));
  await expect(take("rp_1", { signal: cancel.signal })).rejects.toThrow("cancelled by the operator");
  expect(openViews).toBe(0);
  expect([...store.objects.keys()].filter((key) => key.includes("/points/"))).toEqual([]);
});

test("whatever there is to say about 256 disks, the result fits into a message", async () => {
  const wholeCopies = Array.from({ length: 16 }, (_, at) => ({
    place: `partition ${at}`,
    reason: "r".repeat(200),
  }));
  const {
    disks: [one],
  } = await take("rp_1", { disks: ["sdb"] });
  if (!one) throw new Error("no disk");
  const all = Array.from({ length: 256 }, (_, at) => ({ ...one, name: `disk-${at}`, wholeCopies }));
  const fitted = fitDisks(all, 0);
  expect(jsonBytes(fitted)).toBeLessThan(MAX_MESSAGE_BYTES - 1024);
  expect(fitted[0]?.wholeCopies).toEqual([{ place: "16 parts", reason: "see the recovery point" }]);
  const few = all.slice(0, 20);
  expect(fitDisks(few, 0)).toEqual(few);
  const besides = 44 * 1024;
  expect(jsonBytes(fitDisks(few, besides)) + besides).toBeLessThan(MAX_MESSAGE_BYTES - 1024);
});
