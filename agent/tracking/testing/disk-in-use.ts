/** For tests: a tracked disk with a mounted file system that several programs write to. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Random } from "../../filesystems/testing/layouts/random.ts";
import { Load } from "./load.ts";
import { TrackedDisk } from "./tracked-disk.ts";

/** As the agent has it; see `preCopyView`. */
const FREEZE_LIMIT_MS = 2000;
const FREEZE_SLACK_MS = 1000;
/** A write that waits this long is given up. */
const STUCK_MS = 60_000;
const LOAD_PAUSE_MS = 80;
const PAGE_BYTES = 4096;

export class DiskInUse implements AsyncDisposable {
  readonly #disk: TrackedDisk;
  readonly #writer: ChildProcess;
  #isOver = false;
  readonly #load: Promise<void>;

  private constructor(disk: TrackedDisk, random: Random) {
    this.#disk = disk;
    const script = join(import.meta.dirname, "writer-process.ts");
    this.#writer = fork(script, [join(disk.mountPoint, "written")]);
    this.#load = this.#write(random);
  }

  static async start(random: Random): Promise<DiskInUse> {
    const used = new DiskInUse(await TrackedDisk.create({ sizeMiB: 16 }), random);
    await once(used.#writer, "message");
    return used;
  }

  get device(): string {
    return this.#disk.device;
  }

  /** Of the tracker that follows the disk. */
  get pinFolder(): string {
    return this.#disk.pinFolder;
  }

  /** For files of the test; it is removed with the disk. */
  get folder(): string {
    return join(this.#disk.image, "..");
  }

  /** The command that copies the disk as it is now, past the page cache, to a file named by shell words. */
  copyTo(file: string): string {
    return `dd if=${this.device} of=${file} bs=1M iflag=direct status=none`;
  }

  /** What is wrong if a write since the last call waited for longer than a freeze may last; else empty. */
  async faultsOfFreezes(): Promise<string> {
    const answer = once(this.#writer, "message").then(([ms]) => Number(ms));
    this.#writer.send("how long?");
    const longestMs = await Promise.race([answer, wait(STUCK_MS, STUCK_MS, { ref: false })]);
    return longestMs <= FREEZE_LIMIT_MS + FREEZE_SLACK_MS ? "" : `a write waited for ${longestMs} ms`;
  }

  /** Processes that freeze this disk's file system: the helper, and then its watchdog. */
  freezing(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        const command = commandOf(pid);
        return command.includes("freeze-read") && command.includes(this.pinFolder);
      })
      .map(Number)
      .sort((a, b) => a - b);
  }

  /**
   * Waits until the file system is being frozen, and then some milliseconds; kills the helper or its
   * watchdog: each thaws when the other is gone. Returns whether it killed one; not if `isOver` came true
   * before.
   */
  async killHelper(random: Random, isOver: () => boolean): Promise<boolean> {
    const which = random.below(2);
    const pauseMs = random.below(60);
    while (!isOver()) {
      if (this.freezing().length === 2) {
        await wait(pauseMs);
        const pid = this.freezing()[which];
        return pid !== undefined && killed(pid);
      }
      await wait(2);
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#load;
    const exited = once(this.#writer, "exit");
    this.#writer.disconnect();
    await exited;
    await this.#disk[Symbol.asyncDispose]();
  }

  async #write(random: Random): Promise<void> {
    while (!this.#isOver) {
      // What is discarded after the last swap is in the copy of the frozen disk, and not in the point.
      await Load.start(this.#disk.mountPoint, random, { trims: false }).ended();
      await wait(LOAD_PAUSE_MS);
    }
  }
}

/** The numbers of the pages of 4 KiB in which two copies of a disk differ. */
export function differingPages(a: Buffer, b: Buffer): number[] {
  const pageOf = (bytes: Buffer, page: number) => bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  const pages = Array.from({ length: Math.ceil(a.length / PAGE_BYTES) }, (_, page) => page);
  return pages.filter((page) => !pageOf(a, page).equals(pageOf(b, page)));
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It has ended.
    return "";
  }
}

/** Whether the process was still there. */
function killed(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
