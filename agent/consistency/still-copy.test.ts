import { expect, test } from "vitest";
import { BlockSet } from "#shared/domain/block-set.ts";
import { PointDisk } from "#shared/format/point.ts";
import type { DiskUsage, VolumeUsage } from "../filesystems/disk-usage.ts";
import { stillCopyOf } from "./still-copy.ts";

function usageOf(volumes: Partial<VolumeUsage>[], doubts: DiskUsage["doubts"] = []): DiskUsage {
  const place = { offsetBytes: 0, sizeBytes: 1, content: { type: "ext4" }, usedBytes: 0 };
  return {
    sizeBytes: 1,
    used: new BlockSet(1, 1),
    consistent: true,
    partitionTable: { kind: "gpt", partitions: [], structures: [], problems: [] },
    volumes: volumes.map((one, index) => ({
      ...place,
      name: `partition ${index + 1}`,
      method: "free-space-map" as const,
      ...one,
    })),
    doubts,
  };
}

test("a disk is only as consistent as its least consistent volume", () => {
  const view = stillCopyOf(usageOf([{}, { method: "everything", reason: "btrfs" }]));
  expect(view).toEqual({
    consistency: "crash",
    volumes: [
      { name: "partition 1", consistency: "file-system" },
      { name: "partition 2", consistency: "crash" },
    ],
    wholeCopies: [{ place: "partition 2", reason: "btrfs" }],
  });
  expect(stillCopyOf(usageOf([{}])).consistency).toBe("file-system");
});

test("a disk that was copied whole by request promises one instant and no more", () => {
  expect(stillCopyOf(undefined)).toEqual({ consistency: "crash", volumes: [], wholeCopies: [] });
});

test("however much there is to report, it fits into a recovery point and a message, doubts first", () => {
  const many = Array.from({ length: 300 }, () => ({
    method: "everything" as const,
    reason: "x".repeat(9999),
  }));
  const view = stillCopyOf(usageOf(many, [{ place: "partition 1/root", reason: "y".repeat(9999) }]));
  expect(view.wholeCopies[0]?.place).toBe("partition 1/root");
  expect(view.wholeCopies.at(-1)?.place).toBe("286 more parts");
  const disk = {
    ...{ name: "sda", sizeBytes: 1, root: null, contentHash: "00".repeat(32) },
    ...{ usedBytes: 0, badRanges: 0, badBytes: 0 },
    ...view,
  };
  expect(PointDisk.parse(disk)).toEqual(disk);
  expect(JSON.stringify(JSON.stringify(disk)).length).toBeLessThan(8192);
});
