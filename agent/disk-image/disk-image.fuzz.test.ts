import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createDiskImage, openDiskImage } from "./disk-image.ts";

const SIZE_BYTES = 1_000_003;
const Write = fc.record({
  offset: fc.integer({ min: 0, max: SIZE_BYTES - 1 }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 5000 }),
  repeat: fc.integer({ min: 1, max: 40 }),
});

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "disk-image-fuzz-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("a qcow2 image reads back what any sequence of writes left", async () => {
  await inFolder(async (folder) => {
    const property = fc.asyncProperty(fc.array(Write, { maxLength: 12 }), async (writes) => {
      const path = join(folder, "disk.qcow2");
      const model = Buffer.alloc(SIZE_BYTES);
      const options = { path, format: "qcow2", sizeBytes: SIZE_BYTES, contentBytes: 0 } as const;
      const sink = await createDiskImage(options);
      for (const { offset, bytes, repeat } of writes) {
        const whole = Buffer.alloc(Math.min(bytes.length * repeat, SIZE_BYTES - offset), bytes);
        model.set(whole, offset);
        await sink.write(offset, whole);
      }
      await sink.finish();
      const reader = await openDiskImage(path, "qcow2");
      expect(Buffer.compare(await reader.read(0, SIZE_BYTES), model)).toBe(0);
      await reader.close();
    });
    await fc.assert(property, { numRuns: 40 });
  });
});

test("reading a damaged qcow2 image returns bytes or a typed error, and never crashes or hangs", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "disk.qcow2");
    const options = { path, format: "qcow2", sizeBytes: 300_000, contentBytes: 0 } as const;
    const sink = await createDiskImage(options);
    await sink.write(0, Buffer.alloc(300_000, "causeway"));
    await sink.finish();
    const good = await readFile(path);
    // Header, L1 and the first L2 table.
    const position = fc.oneof(
      fc.integer({ min: 0, max: 112 }),
      fc.integer({ min: 65_536, max: 65_544 }),
      fc.integer({ min: 131_072, max: 131_120 }),
    );
    const damage = fc.array(fc.tuple(position, fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 8,
    });
    const property = fc.asyncProperty(damage, async (changes) => {
      const file = await open(path, "r+");
      await file.write(good, 0, 196_608, 0);
      for (const [offset, value] of changes) await file.write(new Uint8Array([value]), 0, 1, offset);
      await file.close();
      try {
        const reader = await openDiskImage(path, "qcow2");
        await reader.read(0, Math.min(reader.sizeBytes, 300_000)).finally(() => reader.close());
      } catch (error) {
        expect(error).toMatchObject({ name: "ImageUnreadableError" });
      }
    });
    await fc.assert(property, { numRuns: 200 });
  });
});
