import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createDiskImage, type ImageFormat, openDiskImage } from "./disk-image.ts";

const MIB = 2 ** 20;
const FORMATS: ImageFormat[] = ["raw", "qcow2"];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "disk-image-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index++) bytes[index] = (index * 31 + seed * 17 + (index >> 8)) % 251;
  return bytes;
}

function qemuImg(...args: string[]): string {
  return execFileSync("qemu-img", args, { encoding: "utf8" });
}

test("both formats hold the same disk, as qemu-img sees it, and take space only for what was written", async () => {
  const sizeBytes = 3 * 1024 * MIB + 512;
  const pieces: [number, Buffer][] = [
    [0, pattern(512, 1)],
    // Out of order, unaligned, across L2 tables (each covers 512 MiB), and the last odd bytes.
    [2000 * MIB + 77, pattern(200_000, 2)],
    [512 * MIB - 100_000, pattern(3 * MIB, 3)],
    [sizeBytes - 1000, pattern(1000, 4)],
  ];
  for (const format of FORMATS) {
    const path = join(folder, `disk.${format}`);
    const sink = await createDiskImage({ path, format, sizeBytes, contentBytes: 4 * MIB });
    await Promise.all(pieces.map(([offset, bytes]) => sink.write(offset, bytes)));
    await sink.finish();
    expect((await stat(path)).blocks * 512).toBeLessThan(6 * MIB);
    const reader = await openDiskImage(path, format);
    expect(reader.sizeBytes).toBe(sizeBytes);
    for (const [offset, bytes] of pieces) {
      expect(Buffer.compare(await reader.read(offset, bytes.length), bytes)).toBe(0);
    }
    expect(await reader.read(1024 * MIB, 4096)).toEqual(Buffer.alloc(4096));
    await expect(reader.read(sizeBytes - 1, 2)).rejects.toThrow(RangeError);
    await reader.close();
  }
  const [raw, qcow2] = [join(folder, "disk.raw"), join(folder, "disk.qcow2")];
  expect(qemuImg("check", "-f", "qcow2", qcow2)).toContain("No errors were found");
  expect(qemuImg("compare", "-f", "raw", "-F", "qcow2", raw, qcow2)).toContain("Images are identical");
});

test("a qcow2 image stays correct when more tables are in use than are kept in memory", async () => {
  const path = join(folder, "wide.qcow2");
  const tables = 150;
  const sizeBytes = tables * 512 * MIB;
  const sink = await createDiskImage({ path, format: "qcow2", sizeBytes, contentBytes: MIB });
  // Two passes: the second one reads tables again that had been written out.
  for (const pass of [0, 1]) {
    for (let table = 0; table < tables; table++) {
      await sink.write(table * 512 * MIB + pass * 65_536, pattern(600, table + pass));
    }
  }
  await sink.finish();
  expect(qemuImg("check", "-f", "qcow2", path)).toContain("No errors were found");
  const reader = await openDiskImage(path, "qcow2");
  for (let table = 0; table < tables; table++) {
    for (const pass of [0, 1]) {
      const read = await reader.read(table * 512 * MIB + pass * 65_536, 600);
      expect(read).toEqual(pattern(600, table + pass));
    }
  }
  await reader.close();
});

test("a qcow2 image whose reference counts need several blocks is clean", async () => {
  // One reference block counts 2 GiB of file. Two bytes on a border take two clusters.
  const path = join(folder, "many.qcow2");
  const pairs = 16_500;
  const options = { path, format: "qcow2", sizeBytes: pairs * 131_072, contentBytes: 0 } as const;
  const sink = await createDiskImage(options);
  for (let pair = 0; pair < pairs; pair += 100) {
    const offsets = Array.from({ length: 100 }, (_, index) => (pair + index) * 131_072 + 65_535);
    await Promise.all(offsets.map((offset) => sink.write(offset, new Uint8Array([1, 2]))));
  }
  await sink.finish();
  expect(qemuImg("check", "-f", "qcow2", path)).toContain("No errors were found");
});

test.each(FORMATS)("a %s image gets its name only when it is complete", async (format) => {
  const path = join(folder, "disk");
  await writeFile(`${path}.partial`, "left by an attempt that was killed");
  const sink = await createDiskImage({ path, format, sizeBytes: MIB, contentBytes: MIB });
  await sink.write(0, pattern(MIB, 1));
  expect(await readdir(folder)).toEqual(["disk.partial"]);
  await sink.finish();
  expect(await readdir(folder)).toEqual(["disk"]);
  await sink.abort();
  expect(await readdir(folder)).toEqual(["disk"]);
});

test.each(FORMATS)("an aborted %s image leaves nothing behind", async (format) => {
  const path = join(folder, "disk");
  const sink = await createDiskImage({ path, format, sizeBytes: MIB, contentBytes: MIB });
  await sink.write(4096, pattern(4096, 1));
  await sink.abort();
  await sink.abort();
  expect(await readdir(folder)).toEqual([]);
});

test.each(FORMATS)("a %s image that cannot fit is refused before the first byte", async (format) => {
  const contentBytes = 2 ** 60;
  const creating = createDiskImage({ path: join(folder, "disk"), format, sizeBytes: MIB, contentBytes });
  await expect(creating).rejects.toMatchObject({
    name: "DiskFullError",
    details: { neededBytes: expect.any(Number) },
  });
  expect(await readdir(folder)).toEqual([]);
});

test.skipIf(process.getuid?.() !== 0).each(FORMATS)(
  "storage that fills up while a %s image is written is a DiskFullError",
  async (format) => {
    const small = join(folder, "small");
    await mkdir(small);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", small]);
    try {
      const options = { path: join(small, "disk"), format, sizeBytes: 8 * MIB, contentBytes: 4096 };
      const sink = await createDiskImage(options);
      await expect(sink.write(0, pattern(4 * MIB, 1))).rejects.toMatchObject({
        name: "DiskFullError",
        retryable: false,
      });
      await sink.abort();
      expect(await readdir(small)).toEqual([]);
    } finally {
      execFileSync("umount", [small]);
    }
  },
);

test("images that we do not write are refused with what is wrong", async () => {
  const path = join(folder, "other.qcow2");
  await writeFile(path, Buffer.alloc(4096));
  await expect(openDiskImage(path, "qcow2")).rejects.toThrow("not a qcow2 image");
  await writeFile(path, "QFI");
  await expect(openDiskImage(path, "qcow2")).rejects.toThrow("cut short");

  const base = join(folder, "base.raw");
  await writeFile(base, Buffer.alloc(MIB));
  qemuImg("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", path);
  await expect(openDiskImage(path, "qcow2")).rejects.toThrow("backing file");
  await writeFile(base, pattern(MIB, 1));
  qemuImg("convert", "-c", "-O", "qcow2", base, path);
  const reader = await openDiskImage(path, "qcow2");
  await expect(reader.read(0, 1)).rejects.toThrow("compressed");
  await reader.close();
});

test("plain images written by qemu-img can be read, whatever their cluster size", async () => {
  const base = join(folder, "base.raw");
  const path = join(folder, "disk.qcow2");
  const bytes = Buffer.concat([pattern(MIB, 5), Buffer.alloc(MIB), pattern(MIB, 6)]);
  await writeFile(base, bytes);
  for (const cluster of ["512", "4096", "2M"]) {
    qemuImg("convert", "-O", "qcow2", "-o", `cluster_size=${cluster}`, base, path);
    const reader = await openDiskImage(path, "qcow2");
    expect(Buffer.compare(await reader.read(0, bytes.length), bytes)).toBe(0);
    await reader.close();
  }
});
