import { mkdir, open, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "./run-tool.ts";

const MIB = 2 ** 20;

/** Disks with one mounted file system each, and copies that were made of them in one freeze. Needs root. */
export class MountedDisks implements AsyncDisposable {
  readonly #folder: string;
  readonly #disks: { type: string; device: string }[] = [];
  readonly #mounted: string[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** As the agent sees them. */
  get disks(): { name: string; path: string; isStill: boolean }[] {
    return this.#disks.map(({ type, device }) => ({ name: type, path: device, isStill: false }));
  }

  get copies(): { name: string; path: string; format: "raw" }[] {
    return this.#disks.map(({ type }) => ({ name: type, path: this.#copy(type), format: "raw" }));
  }

  /** Makes such a disk and mounts it. Returns where. */
  async add(type: "ext4" | "xfs" | "btrfs", sizeMiB: number): Promise<string> {
    const image = join(this.#folder, `${type}.raw`);
    await writeFile(image, "");
    await truncate(image, sizeMiB * MIB);
    await runTool(`mkfs.${type}`, "-q", image);
    const device = (await runTool("losetup", "--find", "--show", image)).trim();
    this.#disks.push({ type, device });
    return this.mount(type, device);
  }

  /** Mounts something else, or again, in a folder of this name. */
  async mount(name: string, ...args: string[]): Promise<string> {
    const place = join(this.#folder, "mounted", name);
    await mkdir(place, { recursive: true });
    await runTool("mount", ...args, place);
    this.#mounted.push(place);
    return place;
  }

  /** Mounts a subvolume of the btrfs. */
  subvolume(name: string): Promise<string> {
    const device = this.#disks.find(({ type }) => type === "btrfs")?.device ?? "";
    return this.mount(name, "-o", `subvol=${name}`, device);
  }

  /** Copies all disks while all of their file systems are frozen. Returns when the freeze began. */
  async copyFrozen(): Promise<string> {
    const places = this.#disks.map(({ type }) => join(this.#folder, "mounted", type));
    const from = new Date().toISOString();
    try {
      for (const place of places) await runTool("fsfreeze", "--freeze", place);
      for (const { type } of this.#disks)
        await runTool("cp", "--sparse=always", join(this.#folder, `${type}.raw`), this.#copy(type));
    } finally {
      for (const place of places) await runTool("fsfreeze", "--unfreeze", place).catch(() => "");
    }
    return from;
  }

  /** Changes one byte of the copy of a disk, where this text is. */
  async damage(type: string, text: string): Promise<void> {
    const path = this.#copy(type);
    const at = (await readFile(path)).indexOf(text);
    if (at < 0) throw new Error(`the copy of the ${type} has no "${text}"`);
    const file = await open(path, "r+");
    try {
      await file.write(Buffer.from([0xff]), 0, 1, at + 1);
    } finally {
      await file.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const place of this.#mounted.toReversed()) await runTool("umount", place);
    for (const { device } of this.#disks) await runTool("losetup", "--detach", device);
  }

  #copy(type: string): string {
    return join(this.#folder, `${type}-copy.raw`);
  }
}
