import fc from "fast-check";
import { expect, test } from "vitest";
import { snapshotSizes } from "./snapshot-sizes.ts";

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const group = (freeBytes: number) => ({ name: "vg0", extentBytes: 4 * MIB, freeBytes });
const volume = (uuid: string, sizeBytes: number) => ({ uuid, sizeBytes });

test("with room, a snapshot has a quarter of its volume, and a small volume's has all of it", () => {
  const sizes = snapshotSizes(group(500 * GIB), [volume("root", 100 * GIB), volume("boot", GIB / 2)]);
  if ("obstacle" in sizes) return expect.unreachable();
  expect((sizes.get("root") ?? 0) / GIB).toBeCloseTo(25.5, 1);
  expect(sizes.get("boot") ?? 0).toBeGreaterThan(GIB / 2);
});

test("without room for a tenth of each volume there are no snapshots, and the words say how much is missing", () => {
  const sizes = snapshotSizes(group(5 * GIB), [volume("root", 100 * GIB)]);
  expect(sizes).toEqual({
    obstacle: expect.stringMatching(/vg0 has no room for snapshots: \d+ MiB more must be free/),
  });
});

test("snapshots are whole extents, have at least a tenth, and leave some of the free space", () => {
  const volumes = fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 12 });
  const free = fc.integer({ min: 0, max: 500_000 });
  const extents = fc.constantFrom(1, 4, 32);
  fc.assert(
    fc.property(volumes, free, extents, (sizesMiB, freeMiB, extentMiB) => {
      const extentBytes = extentMiB * MIB;
      const freeBytes = freeMiB * MIB;
      const all = sizesMiB.map((each, at) => volume(String(at), each * MIB));
      const sizes = snapshotSizes({ name: "vg0", extentBytes, freeBytes }, all);
      if ("obstacle" in sizes) return;
      let total = 0;
      for (const { uuid, sizeBytes } of all) {
        const size = sizes.get(uuid) ?? 0;
        expect(size % extentBytes).toBe(0);
        expect(size).toBeGreaterThan(sizeBytes / 10);
        total += size;
      }
      expect(total).toBeLessThanOrEqual(freeBytes * 0.9);
    }),
  );
});
