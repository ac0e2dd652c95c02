/** For tests: a loop device with a mounted file system, its tracker, and a copy that follows it. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, rmdir, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { BlockSet } from "#shared/domain/block-set.ts";
import { type DiskSource, openDisk } from "../../disk/disk-source.ts";
import { isRoot, MIB, tool } from "../../filesystems/testing/test-image.ts";
import { allocatePages, PAGE_BYTES } from "../../threads/page-memory.ts";
import { TrackerHelper } from "../helper.ts";
import type { FrozenRead, Pass } from "../tracker.ts";
import { baseOf, distrust, type TrackedBase } from "../validity.ts";
import { differencesBesidesLateDiscards } from "./late-discards.ts";

export const GRANULE_BYTES = 65_536;
const folder = join(import.meta.dirname, "../../../.cache/tracker");
/** The program as it ships, and the one that makes faults on request. */
export const PROGRAM = join(folder, "causeway-tracker");
export const FAULTY_PROGRAM = join(folder, "causeway-tracker-test");

const MKFS_OPTIONS = {
  // Otherwise the kernel writes megabytes of empty inodes, some seconds after the mount.
  ext4: ["-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
  xfs: ["-q", "-f"],
  btrfs: ["-q", "-f"],
};

/** Why this machine cannot run tests of the tracker; `undefined` if it can. */
export function whyUntestable(): string | undefined {
  if (!isRoot) return "only root may load eBPF programs";
  if (!existsSync(FAULTY_PROGRAM)) return "the tracker is not built: node scripts/setup.mjs test";
  const pinFolder = pinFolderOf("probe");
  const first = execFileSync("sh", [
    "-c",
    `${PROGRAM} attach --pins ${pinFolder} --disk /dev/loop0; ${PROGRAM} detach --pins ${pinFolder}; rmdir ${pinFolder}`,
  ])
    .toString("latin1")
    .split("\n")[0];
  return /"code":"(not-supported|no-bpf|permission)"/.test(first ?? "") ? first : undefined;
}

function pinFolderOf(name: string): string {
  return `/sys/fs/bpf/causeway/test-${process.pid}-${basename(name)}`;
}

export interface TrackedDiskOptions {
  sizeMiB?: number;
  fileSystem?: "ext4" | "xfs" | "btrfs" | "none";
  mountOptions?: string;
  /** Where the image is; in memory if absent. */
  imageFolder?: string;
  hasDirectIo?: boolean;
  /** Faults that the tracker makes. */
  omit?: readonly string[];
}

export class TrackedDisk implements AsyncDisposable {
  readonly device: string;
  readonly mountPoint: string;
  /** The file behind the device. */
  readonly image: string;
  readonly tracker: TrackerHelper;
  readonly pinFolder: string;
  /** What a reader of the passes has. */
  readonly copy: Buffer;
  readonly #omit: readonly string[];
  readonly #folder: string;
  readonly #fileSystem: string;
  readonly #source: DiskSource;
  #isReplaced = false;
  readonly #pages: Buffer = Buffer.from(allocatePages(MIB / PAGE_BYTES));
  #base: TrackedBase | undefined;

  private constructor(options: {
    device: string;
    folder: string;
    source: DiskSource;
    fileSystem: string;
    omit: readonly string[];
  }) {
    this.device = options.device;
    this.#folder = options.folder;
    this.#fileSystem = options.fileSystem;
    this.mountPoint = join(options.folder, "mount");
    this.image = join(options.folder, "disk.raw");
    this.#source = options.source;
    this.#omit = options.omit;
    this.copy = Buffer.alloc(options.source.sizeBytes);
    this.pinFolder = pinFolderOf(options.device);
    this.tracker = new TrackerHelper(FAULTY_PROGRAM, { pinFolder: this.pinFolder });
  }

  static async create(options: TrackedDiskOptions = {}): Promise<TrackedDisk> {
    const { fileSystem = "ext4", omit = [], hasDirectIo = false } = options;
    const work = await mkdtemp(join(options.imageFolder ?? shared(), "tracked-"));
    const image = join(work, "disk.raw");
    await writeFile(image, "");
    await truncate(image, (options.sizeMiB ?? 32) * MIB);
    const direct = hasDirectIo ? ["--direct-io=on"] : [];
    const device = tool("losetup", "--find", "--show", ...direct, image).trim();
    await mkdir(join(work, "mount"));
    if (fileSystem !== "none") {
      tool(`mkfs.${fileSystem}`, ...MKFS_OPTIONS[fileSystem], device);
      tool("mount", "-o", options.mountOptions ?? "noatime", device, join(work, "mount"));
    }
    const source = await openDisk(device);
    const disk = new TrackedDisk({ device, folder: work, source, fileSystem, omit });
    await disk.attach();
    return disk;
  }

  /** Attaches, then reads everything: the copy is the base of the passes that follow. */
  async attach(): Promise<void> {
    const omit = this.#omit
      .filter((fault) => fault !== "further-reads")
      .flatMap((fault) => ["--omit", fault]);
    const attached = await this.#call("attach", "--disk", this.device, "--identity", "test", ...omit);
    if (!attached.includes('"end"')) throw new Error(attached);
    await this.scan();
  }

  /** Reads everything, and commits that: the base of the passes that follow. */
  async scan(): Promise<void> {
    const { status } = await this.tracker.begin(this.device);
    await this.#readRange(0, this.copy.length);
    await this.tracker.clear(this.device);
    await this.#commit(status);
  }

  /** A first pass, read into the copy and committed. Reads everything if the tracker is not trusted. */
  async takeDelta(): Promise<{ reason: string | undefined; bytes: number }> {
    const pass = await this.tracker.begin(this.device);
    const reason = await this.readPass(pass);
    await this.tracker.clear(this.device);
    await this.#commit(pass.status);
    return { reason, bytes: pass.changed.bytesWithin(0, this.copy.length) };
  }

  /**
   * Takes a delta while the file system stands still, so that it writes nothing after it. Returns where the
   * copy differs from the disk then.
   */
  async differingAfterStillDelta(): Promise<number[]> {
    tool("fsfreeze", "--freeze", this.mountPoint);
    try {
      await this.takeDelta();
      return await this.differing();
    } finally {
      tool("fsfreeze", "--unfreeze", this.mountPoint);
    }
  }

  /** Reads what a pass found into the copy; everything if it is not trusted, and says why. */
  async readPass({ status, changed }: Pass): Promise<string | undefined> {
    const reason = distrust(this.#base, status, { bootId: bootId(), identity: "test" });
    if (reason === undefined) await this.readChanged(changed);
    else await this.#readRange(0, this.copy.length);
    return reason;
  }

  async readChanged(changed: BlockSet): Promise<void> {
    for (const { offset, length } of changed.within(0, this.copy.length))
      await this.#readRange(offset, length);
  }

  /**
   * A frozen read into the copy, with a command after its first round. Returns where the copy and the frozen
   * disk differ, in bytes, and where they do besides late discards.
   */
  async freezeAndCompare({
    during,
  }: {
    during?: string;
  } = {}): Promise<{ read: FrozenRead; differing: number[]; besidesDiscards: number[] }> {
    const witness = join(this.#folder, "witness");
    // The witness is what the disk contains before it is thawed.
    const program = join(this.#folder, "with-witness");
    const options = [
      ...(this.#omit.includes("further-reads") ? ["--omit further-reads"] : []),
      ...(during === undefined ? [] : [`--during '${during}'`]),
    ].join(" ");
    const dd = `dd if=${this.device} of=${witness} bs=1M iflag=direct status=none`;
    await writeFile(program, `#!/bin/sh\nexec '${FAULTY_PROGRAM}' "$@" --witness '${dd}' ${options}\n`, {
      mode: 0o755,
    });
    const read = await new TrackerHelper(program, { pinFolder: this.pinFolder }).freezeRead({
      disks: [this.device],
      mounts: [this.mountPoint],
      ignored: [],
      limitMs: 20_000,
      // A trim continues under the freeze, and each of its pieces is marked, and read, twice.
      limitBytes: 3 * this.copy.length,
    });
    for (const { offset, bytes } of read.frames) bytes.copy(this.copy, offset);
    if (read.outcome !== "converged") return { read, differing: [], besidesDiscards: [] };
    const status = read.statuses.get(this.device);
    if (status) await this.#commit(status);
    const [content, fileSystem] = [await readFile(witness), this.#fileSystem];
    const besidesDiscards = differencesBesidesLateDiscards(this.copy, {
      image: witness,
      content,
      fileSystem,
    });
    return { read, differing: differences(content, this.copy), besidesDiscards };
  }

  /** Where the copy and the disk differ now, in bytes, by granule. */
  async differing(): Promise<number[]> {
    const disk = Buffer.alloc(this.copy.length);
    await this.#read(0, disk.length, disk);
    return differences(disk, this.copy);
  }

  /** Another disk gets this one's name. The copy stays that of the first one. */
  async replaceBy(image: string): Promise<void> {
    await this.#source.close();
    this.#isReplaced = true;
    tool("losetup", "--detach", this.device);
    tool("losetup", this.device, image);
  }

  /** Runs the tracker's program, and kills it after a time. Whether it did its work is not known then. */
  async killed(command: string, afterMs: number): Promise<void> {
    const args = [command, "--pins", this.pinFolder, "--disk", this.device];
    const child = spawn(FAULTY_PROGRAM, args, { stdio: "ignore" });
    const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
    await once(child, "exit");
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isReplaced) await this.#source.close();
    try {
      tool("umount", this.mountPoint);
    } catch {
      // It has no file system, or the test unmounted it.
    }
    tool("losetup", "--detach", this.device);
    await this.tracker.detach();
    await rmdir(this.pinFolder);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #commit(status: Parameters<typeof baseOf>[0]): Promise<void> {
    this.#base = baseOf(status);
    await this.tracker.commit(this.device, status.sequence);
  }

  async #call(command: string, ...args: string[]): Promise<string> {
    const child = spawn(FAULTY_PROGRAM, [command, "--pins", this.pinFolder, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    for await (const chunk of child.stdout) output += String(chunk);
    return output;
  }

  #readRange(offset: number, length: number): Promise<void> {
    return this.#read(offset, length, this.copy);
  }

  async #read(offset: number, length: number, into: Buffer): Promise<void> {
    for (let at = offset; at < offset + length; ) {
      const page = this.#pages.subarray(0, Math.min(this.#pages.length, offset + length - at));
      const bytesRead = await this.#source.read(at, page);
      if (bytesRead === 0) throw new Error(`no bytes at ${at}`);
      page.copy(into, at, 0, bytesRead);
      at += bytesRead;
    }
  }
}

function differences(a: Buffer, b: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < a.length; at += GRANULE_BYTES)
    if (a.compare(b, at, at + GRANULE_BYTES, at, at + GRANULE_BYTES) !== 0) offsets.push(at);
  return offsets;
}

function shared(): string {
  return existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
}

function bootId(): string {
  return tool("cat", "/proc/sys/kernel/random/boot_id").trim();
}
