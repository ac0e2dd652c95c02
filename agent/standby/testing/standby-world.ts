/** A source's repository and a target host's standby of it, for tests. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MappedDisk, Point } from "#shared/format/point.ts";
import { captureDisk } from "../../capture/capture.ts";
import { TestDisk } from "../../disk/testing/test-disk.ts";
import { commitPoint, readPoint } from "../../repository/points.ts";
import type { Repository } from "../../repository/repository.ts";
import type { GetOptions, ObjectStore } from "../../store/object-store.ts";
import { MemoryStore } from "../../store/testing/memory-store.ts";
import { type Applied, type ApplyOptions, applyPoint } from "../apply.ts";
import { Standbys } from "../standbys.ts";

export const DATA_KEY: Buffer = Buffer.alloc(32, 7);
export const SOURCE = "agt_1";
export const PLAN = "plan_1";
/** No leaf is read again, so that each test counts only what it is about. */
export const NO_SAMPLE = { fraction: 0, maxBytes: 0, random: () => 0 };

/** The content of each disk by name. */
export type Disks = Record<string, Buffer>;

/** Counts what is read. */
export class CountingStore extends MemoryStore {
  bytesRead = 0;
  override async get(key: string, options: GetOptions = {}): Promise<Buffer> {
    const bytes = await super.get(key, options);
    this.bytesRead += bytes.length;
    return bytes;
  }
}

/** Captures disks into a repository as a recovery point. */
export async function capturePoint(
  store: ObjectStore,
  pointId: string,
  disks: Disks,
  parent?: Point,
): Promise<Point> {
  const repository = { sourceId: SOURCE, store, dataKey: DATA_KEY };
  const captured: MappedDisk[] = [];
  for (const [name, bytes] of Object.entries(disks)) {
    const previous = parent?.disks.find((disk) => disk.name === name);
    const { disk } = await captureDisk({
      ...{ repository, disk: new TestDisk(bytes), diskName: name, now: () => 0, random: Math.random },
      ...(previous ? { previous } : {}),
      settings: { packBytes: 2 * 2 ** 20, knownBlocks: 4096 },
    });
    captured.push(disk);
  }
  return commitDisks(store, pointId, captured, parent);
}

/** Commits captured disks as a recovery point. */
export async function commitDisks(
  store: ObjectStore,
  pointId: string,
  disks: readonly MappedDisk[],
  parent?: Point,
): Promise<Point> {
  const repository = { sourceId: SOURCE, store, dataKey: DATA_KEY };
  const point: Point = {
    ...{ pointId, sourceId: SOURCE, createdAt: "2030-01-01T00:00:00.000Z", agentVersion: "1" },
    parentId: parent?.pointId ?? null,
    disks: disks.map((disk) => ({ ...disk, consistency: "crash", volumes: [], wholeCopies: [] })),
  };
  await commitPoint(repository, point, { startedAt: 0, now: 0 });
  return point;
}

export class StandbyWorld {
  readonly store = new CountingStore();
  readonly dir: string;
  readonly standbys: Standbys;
  #last: Point | undefined;
  #points = 0;

  constructor(dir = mkdtempSync(join(tmpdir(), "causeway-standby-"))) {
    this.dir = dir;
    this.standbys = standbysIn(dir);
  }

  get repository(): Repository {
    return { sourceId: SOURCE, store: this.store, dataKey: DATA_KEY };
  }

  /** A new recovery point of these disks. */
  async capture(disks: Disks): Promise<Point> {
    this.#last = await capturePoint(this.store, `rp_${++this.#points}`, disks, this.#last);
    return this.#last;
  }

  /** Applies a point as the agent does, and counts what it read from the repository. */
  async apply(
    point: Point,
    options: Partial<ApplyOptions> = {},
  ): Promise<Applied & { bytesFromRepository: number }> {
    const before = this.store.bytesRead;
    const { standbys, repository } = this;
    const read = await readPoint(repository, point.pointId);
    const applied = await applyPoint({
      ...{ standbys, planId: PLAN, repository, point: read, sampling: NO_SAMPLE },
      ...options,
    });
    return { ...applied, bytesFromRepository: this.store.bytesRead - before };
  }

  pathOf(disk: string): string {
    return this.standbys.pathOf(PLAN, disk);
  }

  images(): Disks {
    return imagesIn(this.dir);
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** What the standby's folder has. */
export function imagesIn(dir: string): Disks {
  const folder = join(dir, "images", PLAN);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return Object.fromEntries(
    names.map((name) => [name.replace(/\.raw$/, ""), readFileSync(join(folder, name))]),
  );
}

export function standbysIn(dir: string): Standbys {
  return new Standbys({
    ...{ imagesDir: join(dir, "images"), dataDir: join(dir, "agent") },
    ...{ key: Buffer.alloc(32, 5), now: () => new Date(0) },
  });
}

/** Whether two sets of disks have the same names and the same bytes; text that says where they differ. */
export function difference(found: Disks, wanted: Disks): string {
  const names = (of: Disks) => Object.keys(of).sort().join(" ");
  if (names(found) !== names(wanted)) return `disks ${names(found)}, not ${names(wanted)}`;
  for (const [name, bytes] of Object.entries(wanted)) {
    const other = found[name];
    if (other?.length !== bytes.length) return `${name} has ${other?.length} bytes, not ${bytes.length}`;
    if (other.equals(bytes)) continue;
    const at = other.findIndex((byte, index) => byte !== bytes[index]);
    return `${name} differs at byte ${at}, in block ${Math.floor(at / 65_536)}`;
  }
  return "";
}

/** Bytes that do not compress and occur nowhere else. */
export const noise = (bytes: number): Buffer => randomBytes(bytes);
