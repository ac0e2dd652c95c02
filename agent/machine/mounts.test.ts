import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inScratch } from "../filesystems/testing/test-image.ts";
import { LocalMachine } from "./machine.ts";
import { Mounts, parseMountInfo } from "./mounts.ts";

/** A machine whose mounts are those that a file lists. */
class MachineWithMounts extends LocalMachine {
  readonly #file: string;

  constructor(file: string) {
    super();
    this.#file = file;
  }

  override read(path: string, mostBytes?: number): Promise<Buffer | undefined> {
    return super.read(path === "/proc/self/mountinfo" ? this.#file : path, mostBytes);
  }
}

const line = (number: number, device: string) =>
  `${number} 1 ${device} / /var/lib/containers/${"0".repeat(64)}/${number} rw shared:1 - ext4 /dev/${device} rw`;

test("the mounts of a host of thousands of containers are all known, however long their list", async () => {
  await inScratch(async (folder) => {
    const file = join(folder, "mountinfo");
    const lines = [...Array.from({ length: 10_000 }, (_, at) => line(at, "8:1")), line(10_000, "8:17"), ""];
    await writeFile(file, lines.join("\n"));
    const mounts = await Mounts.read(new MachineWithMounts(file));
    expect(mounts.all).toHaveLength(10_001);
    expect(mounts.pointsOf("8:17", [])).toHaveLength(1);
  });
});

test("a list of mounts that is too long to be read is an error, and never a part of the mounts", async () => {
  await inScratch(async (folder) => {
    const file = join(folder, "mountinfo");
    await writeFile(file, Buffer.alloc(64 * 2 ** 20, `${line(1, "8:1")}\n`));
    await expect(Mounts.read(new MachineWithMounts(file))).rejects.toThrow("which disks are in use");
  });
});

test("a device with the log or the real-time section of an XFS is mounted where that is", () => {
  const options = "rw,attr2,inode64,logdev=/dev/sdb1,rtdev=/dev/sdc,noquota";
  const mounts = new Mounts(parseMountInfo(`30 1 8:1 / /srv rw shared:1 - xfs /dev/sda1 ${options}`), []);
  for (const path of ["/dev/sda1", "/dev/sdb1", "/dev/sdc"])
    expect(mounts.pointsOf(undefined, [path])).toEqual(["/srv"]);
  expect(mounts.pointsOf("8:17", ["/dev/sdb2"])).toEqual([]);
});
