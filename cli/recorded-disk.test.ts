import { expect, test } from "vitest";
import { recordedDisk } from "./recorded-disk.ts";

const SIZE_BYTES = 64 * 1024 * 1024;
const AT = "2030-01-01T00:00:00.000Z";

const diskOf = (name: string, sizeBytes: number) => ({
  ...{ name, sizeBytes, root: null, contentHash: "00".repeat(32), usedBytes: 0, badRanges: 0, badBytes: 0 },
  ...{ consistency: "file-system" as const, volumes: [], wholeCopies: [] },
});
const point = {
  ...{ pointId: "rp_1", sourceId: "agt_1", createdAt: AT, parentId: null, agentVersion: "1.0.0" },
  disks: [diskOf("sda", SIZE_BYTES), diskOf("sdb", 2 ** 50), diskOf("sdc", SIZE_BYTES)],
};
const recorded = {
  ...{ id: "rp_1", sourceId: "agt_1", conversionId: "cnv_1", createdAt: AT },
  disks: ["sda", "sdb"].map((name) => ({
    ...{ name, sizeBytes: SIZE_BYTES, mapRoot: "root", badRanges: 0 },
    ...{ consistency: "file-system" as const, wholeCopies: [] },
  })),
};

test("a disk that matches the control plane's record is restored", () => {
  expect(recordedDisk(point, recorded, "sda")).toBe(point.disks[0]);
});

test.each([
  ["whose size is another", "sdb", "disk sdb has 1125899906842624 bytes; 67108864 bytes were recorded"],
  ["that was not recorded", "sdc", "it was not recorded"],
])("a disk %s is refused before anything is written", (_, name, message) => {
  expect(() => recordedDisk(point, recorded, name)).toThrow(message);
  expect(() => recordedDisk(point, recorded, name)).toThrow(
    expect.objectContaining({ name: "RecoveryPointUnexpectedError" }),
  );
});

test("a disk that the point does not have is not found", () => {
  expect(() => recordedDisk(point, recorded, "sdd")).toThrow(
    expect.objectContaining({ name: "NotFoundError" }),
  );
});
