import { expect, test } from "vitest";
import { recogniseDisks } from "./recognise-disks.ts";

const disk = { name: "sda", sizeBytes: 1000, partitionTableUuid: "table-a", serial: "serial-a" };

test("a disk that has another name now is found by its partition table", () => {
  const seen = [
    { ...disk, name: "sda", path: "/dev/sda", partitionTableUuid: "table-b", serial: "serial-b" },
    { ...disk, name: "sdb", path: "/dev/sdb" },
  ];
  expect(recogniseDisks([disk], seen)).toEqual([{ name: "sda", path: "/dev/sdb" }]);
});

test("of two disks with the same partition table the serial number decides", () => {
  const seen = [
    { ...disk, path: "/dev/sda", serial: "serial-b" },
    { ...disk, path: "/dev/sdb" },
  ];
  expect(recogniseDisks([disk], seen)).toEqual([{ name: "sda", path: "/dev/sdb" }]);
});

test("a disk without a partition table is found by its serial number", () => {
  const { partitionTableUuid, ...blank } = disk;
  expect(recogniseDisks([blank], [{ ...blank, path: "/dev/vdc" }])).toEqual([
    { name: "sda", path: "/dev/vdc" },
  ]);
});

test("disks that cannot be told apart, and those of another size, are not guessed", () => {
  const twins = [
    { ...disk, path: "/dev/sda" },
    { ...disk, path: "/dev/sdb" },
  ];
  expect(recogniseDisks([disk], twins)).toEqual([]);
  expect(recogniseDisks([disk], [{ ...disk, sizeBytes: 2000, path: "/dev/sda" }])).toEqual([]);
});
