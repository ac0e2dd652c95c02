import fc from "fast-check";
import { expect, test } from "vitest";
import { type DiskMark, recogniseDisks, type SeenDisk, whyNotRecognised } from "./disk-recognition.ts";

const disk = { name: "sda", sizeBytes: 1000, partitionTableUuid: "table-a", serial: "serial-a" };
const path = (name: string, change: Partial<SeenDisk> = {}): SeenDisk => ({
  ...disk,
  name,
  path: `/dev/${name}`,
  ...change,
});
const foundAt = (mark: DiskMark, ...seen: SeenDisk[]) =>
  recogniseDisks([mark], seen).map((found) => found.path);

test("a disk that has another name now is found by its partition table", () => {
  const other = path("sda", { partitionTableUuid: "table-b", serial: "serial-b" });
  expect(recogniseDisks([disk], [other, path("sdb")])).toEqual([{ name: "sda", path: "/dev/sdb" }]);
});

test("of two disks with the same partition table the serial number decides", () => {
  expect(foundAt(disk, path("sda", { serial: "serial-b" }), path("sdb"))).toEqual(["/dev/sdb"]);
  expect(foundAt(disk, path("sda", { serial: undefined }), path("sdb"))).toEqual(["/dev/sdb"]);
});

test("a clone is not taken for its original when only the clone is there", () => {
  expect(foundAt(disk, path("sda", { serial: "serial-b" }))).toEqual([]);
  expect(foundAt(disk, path("sda", { partitionTableUuid: "table-b" }))).toEqual([]);
});

test("a disk without a partition table is found by its serial number, its WWID or what fills it", () => {
  const { partitionTableUuid, serial, ...blank } = disk;
  expect(foundAt({ ...blank, serial }, path("vdc", { partitionTableUuid: undefined }))).toEqual(["/dev/vdc"]);
  const seen = { partitionTableUuid: undefined, serial: undefined, wwid: "naa.5000", contentUuid: "pv-a" };
  expect(foundAt({ ...blank, wwid: "naa.5000" }, path("vdc", seen))).toEqual(["/dev/vdc"]);
  expect(foundAt({ ...blank, contentUuid: "pv-a" }, path("vdc", seen))).toEqual(["/dev/vdc"]);
});

test("disks that cannot be told apart, and those of another size, are not guessed", () => {
  expect(foundAt(disk, path("sda"), path("sdb"))).toEqual([]);
  expect(foundAt(disk, path("sda", { sizeBytes: 2000 }))).toEqual([]);
});

test("an identifier that every disk has does not identify a disk", () => {
  for (const serial of ["", "0000000000000000", "0x00000000", "  "]) {
    const mark = { name: "sda", sizeBytes: 1000, serial };
    expect(foundAt(mark, path("sda", { serial }))).toEqual([]);
    expect(whyNotRecognised(mark, [mark])).toMatch(/neither a partition table nor a serial number/);
  }
});

test("the paths of a multipath disk are one disk, of which one that can be read is taken", () => {
  const mark = { ...disk, wwid: "naa.6001", multipath: true };
  const standby = path("sda", { wwid: "naa.6001", partitionTableUuid: undefined });
  const paths = [path("sdb", { wwid: "naa.6001" }), path("sdc", { wwid: "naa.6001" })];
  expect(foundAt(mark, standby, ...paths)).toEqual(["/dev/sdb"]);
  expect(whyNotRecognised(mark, [mark])).toBeUndefined();
});

test("two disks that share a WWID without being paths of one are not told apart", () => {
  const marks = ["sda", "sdb"].map((name) => ({ name, sizeBytes: 1000, wwid: "naa.6001" }));
  for (const mark of marks) {
    expect(
      recogniseDisks(
        [mark],
        marks.map((each) => path(each.name, each)),
      ),
    ).toEqual([]);
    expect(whyNotRecognised(mark, marks)).toMatch(/^nothing tells it from sd[ab]$/);
  }
});

test("whatever disks there are: one that counts as recognisable is found as itself, in any order and under any name", () => {
  const word = (...words: string[]) => fc.option(fc.constantFrom(...words), { nil: undefined });
  const marks = fc.array(
    fc.record({
      sizeBytes: fc.constantFrom(1000, 2000),
      partitionTableUuid: word("table-a", "table-b", "0x00000000"),
      serial: word("serial-a", "serial-b", ""),
      wwid: word("naa.1", "naa.2"),
      contentUuid: word("pv-a"),
      multipath: fc.boolean(),
    }),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(marks, fc.nat(), (drawn, turn) => {
      const all = drawn.map((each, index) => ({ ...each, name: `sd${index}` }));
      const seen = all.map((each, index) => ({ ...each, name: `x${index}`, path: each.name }));
      const turned = [...seen.slice(turn % seen.length), ...seen.slice(0, turn % seen.length)];
      for (const mark of all) {
        const found = recogniseDisks([mark], turned);
        expect(found.length).toBeLessThanOrEqual(1);
        if (whyNotRecognised(mark, all) === undefined)
          expect(found).toEqual([{ name: mark.name, path: mark.name }]);
      }
    }),
    { numRuns: 300 },
  );
});
