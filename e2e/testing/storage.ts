import { execFileSync } from "node:child_process";
import { mkdirSync, statfsSync } from "node:fs";
import { truncate, writeFile } from "node:fs/promises";
import { noise } from "./disk-content.ts";

/** A small file system in memory. Needs root. */
export class Tmpfs {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static mount(path: string, sizeBytes: number): Tmpfs {
    mkdirSync(path, { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeBytes}`, "causeway-test", path]);
    return new Tmpfs(path);
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  unmount(): void {
    execFileSync("umount", [this.path]);
  }
}

/**
 * A block device whose end cannot be read: a loop device whose file was truncated after it was attached.
 * Needs root.
 */
export class BrokenDevice {
  readonly path: string;
  /** Of which only the first part can still be read. */
  readonly content: Buffer;

  private constructor(path: string, content: Buffer) {
    this.path = path;
    this.content = content;
  }

  static async create(backing: string, sizeBytes: number, readableBytes: number): Promise<BrokenDevice> {
    const content = noise(backing, sizeBytes);
    await writeFile(backing, content);
    const path = execFileSync("losetup", ["--find", "--show", backing], { encoding: "utf8" }).trim();
    await truncate(backing, readableBytes);
    return new BrokenDevice(path, content);
  }

  remove(): void {
    execFileSync("losetup", ["--detach", this.path]);
  }
}
