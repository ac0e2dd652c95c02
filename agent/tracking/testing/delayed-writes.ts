/** For tests: writes to a loop device that are issued and do not land until the test says so. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, rmdir, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { MIB, tool } from "../../filesystems/testing/test-image.ts";

/** The folder of the control group for block devices; the kernel serves each group's requests by a worker. */
const GROUPS = ["/sys/fs/cgroup/blkio", "/sys/fs/cgroup"].find((folder) =>
  existsSync(join(folder, "cgroup.procs")),
);

/**
 * A file system whose images can be read while writes to them wait: it is frozen. The writer is in a control
 * group of its own, so that readers do not wait behind it.
 */
export class DelayedWrites implements AsyncDisposable {
  /** Where a disk's image must be. */
  readonly imageFolder: string;
  readonly #folder: string;
  readonly #device: string;
  readonly #group: string;
  #writer: Promise<unknown> | undefined;

  private constructor(folder: string, device: string) {
    this.#folder = folder;
    this.#device = device;
    this.imageFolder = join(folder, "mount");
    this.#group = join(GROUPS ?? "", `causeway-test-${process.pid}`);
  }

  static async create(): Promise<DelayedWrites> {
    const folder = await mkdtemp(join(tmpdir(), "delayed-"));
    const image = join(folder, "lower.raw");
    await writeFile(image, "");
    await truncate(image, 96 * MIB);
    const device = tool("losetup", "--find", "--show", image).trim();
    await mkdir(join(folder, "mount"));
    tool("mkfs.ext4", "-q", device);
    tool("mount", "-o", "noatime", device, join(folder, "mount"));
    const writes = new DelayedWrites(folder, device);
    await mkdir(writes.#group, { recursive: true });
    return writes;
  }

  /** Starts to write a page at this offset of a device, and returns when the write waits. */
  async begin(device: string, offset: number): Promise<void> {
    tool("fsfreeze", "--freeze", this.imageFolder);
    const write = `printf $$ > ${this.#group}/cgroup.procs; exec xfs_io -d -c "pwrite -q -S 7 ${offset} 4096" ${device}`;
    this.#writer = once(spawn("sh", ["-c", write], { stdio: "ignore" }), "exit");
    const inflight = `/sys/block/${basename(device)}/inflight`;
    while (!/[1-9]\d*\s*$/.test(await readFile(inflight, "utf8"))) await new Promise(setImmediate);
  }

  /** From now on no write lands; resolves when they land again. */
  async pauseFor(ms: number): Promise<void> {
    tool("fsfreeze", "--freeze", this.imageFolder);
    await setTimeout(ms);
    tool("fsfreeze", "--unfreeze", this.imageFolder);
  }

  /** Lets the write land, and waits until it has. */
  async end(): Promise<void> {
    tool("fsfreeze", "--unfreeze", this.imageFolder);
    await this.#writer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    tool("umount", this.imageFolder);
    tool("losetup", "--detach", this.#device);
    await rmdir(this.#group);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
