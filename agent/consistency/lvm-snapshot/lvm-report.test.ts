import { join } from "node:path";
import { expect, test } from "vitest";
import { inPhysicalVolume } from "../../filesystems/testing/physical-volume.ts";
import { createJunkImage, inScratch, isRoot, MIB } from "../../filesystems/testing/test-image.ts";
import { COLUMNS, keepsOnlyStart, parseReports, parseSnapshotStatus, TABLE_BYTES } from "./lvm-report.ts";

const FORMAT = ["--reportformat", "json", "--units", "b", "--nosuffix", "--options"];

test.skipIf(!isRoot)("what LVM prints of its groups, volumes and disks is understood", async () => {
  await inScratch(async (folder) => {
    const image = join(folder, "disk");
    await createJunkImage(image, 64 * MIB);
    await inPhysicalVolume([image], (lvm, [device]) => {
      lvm("vgcreate", "-q", "-s", "1M", "vg-0", device);
      lvm("lvcreate", "-q", "-an", "-Zn", "-Wn", "--addtag", "causeway", "-L", "20M", "-n", "root", "vg-0");
      const report = (program: "lvs" | "vgs" | "pvs", columns: string) => lvm(program, ...FORMAT, columns);
      const state = parseReports(
        ...([report("lvs", COLUMNS.lv), report("vgs", COLUMNS.vg), report("pvs", COLUMNS.pv)] as const),
      );
      expect(state.volumes).toEqual([
        {
          ...{ group: "vg-0", groupUuid: state.groups[0]?.uuid, name: "root", uuid: expect.any(String) },
          ...{ sizeBytes: 20 * MIB, layout: "linear", roles: ["public"], tags: ["causeway"] },
          ...{ isSuspended: false, path: "/dev/mapper/vg--0-root" },
        },
      ]);
      expect(state.groups).toMatchObject([{ name: "vg-0", extentBytes: MIB, freeBytes: 43 * MIB }]);
      expect(state.groups[0]).not.toHaveProperty("obstacle");
      expect(state.physicalVolumes).toMatchObject([{ path: device }]);
      lvm("vgchange", "-q", "--addtag", "x", "vg-0");
      lvm("vgexport", "-q", "vg-0");
      const exported = parseReports(
        '{"report":[{"lv":[]}]}',
        report("vgs", COLUMNS.vg),
        '{"report":[{"pv":[]}]}',
      );
      expect(exported.groups).toMatchObject([{ obstacle: "it is exported" }]);
    });
  });
});

test("a name that LVM's programs would take for an option is refused", () => {
  const row = {
    ...{ vg_name: "-ff", vg_uuid: "u", vg_attr: "wz--n-", vg_extent_size: "1", vg_free: "1", vg_seqno: "1" },
  };
  const none = '{"report":[{"lv":[],"pv":[]}]}';
  expect(() => parseReports(none, JSON.stringify({ report: [{ vg: [row] }] }), none)).toThrow();
  const plain = { ...row, vg_name: "vg" };
  expect(parseReports(none, JSON.stringify({ report: [{ vg: [plain] }] }), none).groups).toHaveLength(1);
});

test.each([
  ["0 409600 snapshot 16/81920 16", 0],
  ["0 409600 snapshot 4048/81920 24\n", 4024],
  ["0 409600 snapshot Invalid", "lost"],
  ["0 409600 snapshot Overflow", "lost"],
  ["0 409600 snapshot Merge failed", "lost"],
  ["0 409600 snapshot Unknown", undefined],
  ["0 409600 linear", undefined],
  ["", undefined],
])(
  "the kernel's status %j of a snapshot is understood, and anything unknown does not count as lost",
  (text, fill) => {
    expect(parseSnapshotStatus(text)).toEqual(fill);
  },
);

/** The beginning of the tables of a snapshot that keeps these chunks. */
function tablesOf(kept: readonly number[], { magic = 0x70416e53, chunkSectors = 8 } = {}): Buffer {
  const tables = Buffer.alloc(TABLE_BYTES);
  for (const [at, value] of [magic, 1, 1, chunkSectors].entries()) tables.writeUInt32LE(value, at * 4);
  for (const [at, chunk] of kept.entries()) {
    tables.writeBigUInt64LE(BigInt(chunk), 4096 + at * 16);
    tables.writeBigUInt64LE(BigInt(at + 2), 4096 + at * 16 + 8);
  }
  return tables;
}

test("only a snapshot that keeps the first chunk of its volume and no other counts as one that keeps its start", () => {
  expect(keepsOnlyStart(tablesOf([0]))).toBe(true);
  expect(keepsOnlyStart(tablesOf([]))).toBe(false);
  expect(keepsOnlyStart(tablesOf([7]))).toBe(false);
  expect(keepsOnlyStart(tablesOf([0, 7]))).toBe(false);
  expect(keepsOnlyStart(tablesOf([0], { chunkSectors: 16 }))).toBe(false);
  expect(keepsOnlyStart(tablesOf([0], { magic: 1 }))).toBe(false);
});
