/** Two thousand random orders of writes, passes and killed readers; `npm test` tries a hundred. */
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { differingAfter } from "#agent/tracking/testing/interleaving.ts";
import { TrackedDisk, whyUntestable } from "#agent/tracking/testing/tracked-disk.ts";

const FIRST_SEED = 10_000;
/** One row of the record: small enough that an interruption costs little. */
const ROW = 100;
const DISKS = [
  { fileSystem: "ext4", mountOptions: "noatime" },
  { fileSystem: "ext4", mountOptions: "noatime,discard" },
  { fileSystem: "xfs", mountOptions: "noatime,discard", sizeMiB: 320 },
  { fileSystem: "btrfs", mountOptions: "noatime", sizeMiB: 128 },
] as const;
const ROWS_OF_EACH = 5;

const rows = DISKS.flatMap((options, disk) =>
  Array.from({ length: ROWS_OF_EACH }, (_, row) => ({
    first: FIRST_SEED + (disk * ROWS_OF_EACH + row) * ROW,
    options: { ...options, hasDirectIo: row % 2 === 1 },
  })),
).map(({ first, options }) => ({
  first,
  last: first + ROW - 1,
  options,
  name: `${options.fileSystem}, ${options.mountOptions}${options.hasDirectIo ? ", direct I/O" : ""}`,
}));

const reason = whyUntestable();

describe.skipIf(reason !== undefined)("the tracker misses no changed block", () => {
  test.each(rows)("seeds $first to $last ($name)", async ({ first, last, options }) => {
    // Direct I/O needs an image that is not in memory.
    const folder = options.hasDirectIo ? { imageFolder: tmpdir() } : {};
    await using disk = await TrackedDisk.create({ ...options, ...folder });
    const failures: string[] = [];
    for (let seed = first; seed <= last; seed++) failures.push(await differingAfter(disk, seed));
    expect(failures.filter((failure) => failure !== "")).toEqual([]);
  });
});
