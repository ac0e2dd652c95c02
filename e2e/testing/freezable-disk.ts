import { mkdir, truncate, writeFile } from "node:fs/promises";
import { runTool } from "./run-tool.ts";

const MIB = 2 ** 20;

/** An image with a mounted ext4 file system that can be frozen. Needs root. */
export class FreezableDisk implements AsyncDisposable {
  readonly mountPoint: string;
  readonly #image: string;

  private constructor(image: string) {
    this.#image = image;
    this.mountPoint = `${image}-mounted`;
  }

  /** With a new file system in `image`. */
  static async create(image: string, sizeMiB: number): Promise<FreezableDisk> {
    await writeFile(image, "");
    await truncate(image, sizeMiB * MIB);
    await runTool("mkfs.ext4", "-q", "-F", image);
    return FreezableDisk.#mount(image);
  }

  static async #mount(image: string): Promise<FreezableDisk> {
    const disk = new FreezableDisk(image);
    await mkdir(disk.mountPoint, { recursive: true });
    await runTool("mount", "-o", "loop", image, disk.mountPoint);
    return disk;
  }

  /** Copies the image while the file system is frozen, and calls `frozen` meanwhile. */
  async copyFrozen(copy: string, frozen: () => Promise<void> = async () => {}): Promise<void> {
    await runTool("fsfreeze", "--freeze", this.mountPoint);
    try {
      await Promise.all([runTool("cp", "--sparse=always", this.#image, copy), frozen()]);
    } finally {
      await runTool("fsfreeze", "--unfreeze", this.mountPoint);
    }
  }

  /** Mounts such a copy: the kernel replays its journal. */
  static mountCopy(copy: string): Promise<FreezableDisk> {
    return FreezableDisk.#mount(copy);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await runTool("umount", this.mountPoint);
  }
}
