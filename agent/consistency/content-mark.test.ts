import { execFileSync } from "node:child_process";
import { mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { contentMark, writesIn } from "./content-mark.ts";

const folder = await mkdtemp(join(tmpdir(), "marks-"));
afterAll(() => rm(folder, { recursive: true }));

test("the mark of an image stays while it is only read, and changes with its content", async () => {
  const path = join(folder, "image");
  await writeFile(path, Buffer.alloc(65_536));
  const mark = await contentMark(path);
  const file = await open(path, "r");
  await file.read(Buffer.alloc(512), 0, 512, 0);
  await file.close();
  expect(await contentMark(path)).toBe(mark);
  await truncate(path, 70_000);
  expect(await contentMark(path)).not.toBe(mark);
});

test.skipIf(process.getuid?.() !== 0)(
  "the mark of a device changes when something is written or discarded there, and not when it is read or flushed",
  async () => {
    const path = join(folder, "backing");
    await writeFile(path, Buffer.alloc(1024 * 1024));
    const device = execFileSync("losetup", ["--find", "--show", path]).toString().trim();
    try {
      const mark = await contentMark(device);
      expect(mark).toMatch(/^device /);
      execFileSync("dd", [`if=${device}`, "of=/dev/null", "bs=64k", "iflag=direct"], { stdio: "ignore" });
      expect(await contentMark(device)).toBe(mark);
      // The kernel counts a flush of the device's cache as a write of no sectors.
      execFileSync("sync", [device]);
      expect(await contentMark(device)).toBe(mark);
      execFileSync("dd", ["if=/dev/zero", `of=${device}`, "bs=4k", "count=1", "oflag=direct"], {
        stdio: "ignore",
      });
      const written = await contentMark(device);
      expect(written).not.toBe(mark);
      execFileSync("blkdiscard", ["--length", "65536", device]);
      expect(await contentMark(device)).not.toBe(written);
    } finally {
      execFileSync("losetup", ["--detach", device]);
    }
  },
);

test("the counters of writes are those of the kernel's documentation, or none", () => {
  const line = "  446  0  17600  66  123  45  9840  50  0  104  117  7  0  5600  3  2  1\n";
  expect(writesIn(line)).toBe("9840 5600");
  for (const text of ["", "1 2 3", "446 0 17600 66 123 45 9840 50 0 104 117", line.replace("9840", "x")])
    expect(writesIn(text)).toBeUndefined();
});
