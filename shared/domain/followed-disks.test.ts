import fc from "fast-check";
import { expect, test } from "vitest";
import type { DiskMark, SeenDisk } from "./disk-recognition.ts";
import { nameDisks } from "./followed-disks.ts";

const mark = (name: string, change: Partial<DiskMark> = {}): DiskMark => ({
  name,
  sizeBytes: 1000,
  ...change,
});
const seen = (name: string, change: Partial<DiskMark> = {}): SeenDisk => ({
  ...mark(name, change),
  path: `/dev/${name}`,
});
/** The path of the disk that has each name. */
const pathsOf = (marks: DiskMark[], disks: SeenDisk[]) =>
  Object.fromEntries(nameDisks(marks, disks).map(({ name, path }) => [name, path]));

test("two disks that exchanged their names are followed, by whatever identifies them", () => {
  for (const identifier of ["serial", "wwid", "partitionTableUuid", "contentUuid"] as const) {
    const marks = [mark("sda", { [identifier]: "a" }), mark("sdb", { [identifier]: "b" })];
    const disks = [seen("sda", { [identifier]: "b" }), seen("sdb", { [identifier]: "a" })];
    expect(pathsOf(marks, disks), identifier).toEqual({ sda: "/dev/sdb", sdb: "/dev/sda" });
  }
});

test("a disk that has grown, or has a new partition table, is followed by its serial number", () => {
  const marks = [mark("sda", { serial: "a", partitionTableUuid: "t" })];
  const grown = { serial: "a", partitionTableUuid: "u", sizeBytes: 2000 };
  expect(pathsOf(marks, [seen("sda", { serial: "b" }), seen("sdb", grown)])).toEqual({
    sda: "/dev/sdb",
    sdb: "/dev/sda",
  });
});

test("of disks with one serial number, what else they have decides, and otherwise they keep their names", () => {
  const shared = { serial: "array" };
  const tables = ["t", "u"].map((partitionTableUuid) => ({ ...shared, partitionTableUuid }));
  const marks = [mark("sda", tables[0]), mark("sdb", tables[1])];
  expect(pathsOf(marks, [seen("sda", tables[1]), seen("sdb", tables[0])])).toEqual({
    sda: "/dev/sdb",
    sdb: "/dev/sda",
  });
  const blank = [mark("sda", shared), mark("sdb", shared)];
  expect(pathsOf(blank, [seen("sda", shared), seen("sdb", shared)])).toEqual({
    sda: "/dev/sda",
    sdb: "/dev/sdb",
  });
  expect(pathsOf([mark("sda", shared)], [seen("sdb", shared), seen("sdc", shared)])).toEqual({
    sdb: "/dev/sdb",
    sdc: "/dev/sdc",
  });
});

test("a disk whose serial number differs is another one, even with the same partition table", () => {
  const marks = [mark("sda", { serial: "a", partitionTableUuid: "t" })];
  const disks = [seen("sda", { serial: "c" }), seen("sdb", { serial: "b", partitionTableUuid: "t" })];
  expect(pathsOf(marks, disks)).toEqual({ sda: "/dev/sda", sdb: "/dev/sdb" });
});

test("a disk that replaces one keeps the kernel's name for it", () => {
  const marks = [mark("vdb", { partitionTableUuid: "t" })];
  expect(pathsOf(marks, [seen("vdb", { partitionTableUuid: "u" })])).toEqual({ vdb: "/dev/vdb" });
  expect(pathsOf(marks, [seen("vdb")])).toEqual({ vdb: "/dev/vdb" });
});

test("of a disk that is gone, another mark's disk does not take the place", () => {
  const marks = ["a", "b", "c"].map((serial, at) => mark(`sd${"abc"[at]}`, { serial }));
  const disks = [seen("sda", { serial: "a" }), seen("sdb", { serial: "c" })];
  expect(pathsOf(marks, disks)).toEqual({ sda: "/dev/sda", sdc: "/dev/sdb" });
});

test("disks that nothing identifies keep their names", () => {
  expect(pathsOf([mark("vda"), mark("vdb")], [seen("vda"), seen("vdb")])).toEqual({
    vda: "/dev/vda",
    vdb: "/dev/vdb",
  });
  expect(pathsOf([mark("vda")], [])).toEqual({});
});

test("a new disk in front of the others does not take a name of theirs", () => {
  const marks = [mark("sda", { serial: "a" }), mark("sdb", { serial: "b" })];
  const disks = [seen("sda", { serial: "new" }), seen("sdb", { serial: "a" }), seen("sdc", { serial: "b" })];
  expect(nameDisks(marks, disks).map(({ name, path }) => `${name}=${path}`)).toEqual([
    "sdc=/dev/sda",
    "sda=/dev/sdb",
    "sdb=/dev/sdc",
  ]);
});

const identifiers = fc.record(
  {
    serial: fc.constantFrom("a", "b", "c", ""),
    wwid: fc.constantFrom("w", "x"),
    partitionTableUuid: fc.constantFrom("t", "u"),
  },
  { requiredKeys: [] },
);
const names = ["sda", "sdb", "sdc", "sdd"];
const disksOf = (of: (name: string, change: Partial<DiskMark>) => DiskMark) =>
  fc
    .tuple(fc.subarray(names), fc.array(identifiers, { minLength: 4, maxLength: 4 }))
    .map(([some, changes]) => some.map((name, at) => of(name, changes[at] ?? {})));

test("whatever disks have in common, no disk has two names and no two disks have one", () => {
  fc.assert(
    fc.property(disksOf(mark), disksOf(seen) as fc.Arbitrary<SeenDisk[]>, (marks, disks) => {
      const named = nameDisks(marks, disks);
      expect(new Set(named.map(({ name }) => name)).size).toBe(disks.length);
      expect(named.map(({ path }) => path)).toEqual(disks.map(({ path }) => path));
    }),
  );
});

test("disks with serial numbers of their own are found under whatever names they have now", () => {
  const permutation = fc.shuffledSubarray(names, { minLength: names.length });
  fc.assert(
    fc.property(permutation, (now) => {
      const marks = names.map((name) => mark(name, { serial: `of-${name}` }));
      const disks = now.map((name, at) => seen(name, { serial: `of-${names[at]}` }));
      expect(pathsOf(marks, disks)).toEqual(
        Object.fromEntries(names.map((name, at) => [name, `/dev/${now[at]}`])),
      );
    }),
  );
});
