import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { totalBytes } from "#shared/domain/extents.ts";
import { openFileReader } from "../disk/reader.ts";
import { readDiskUsage } from "./disk-usage.ts";
import { DiskInLayers } from "./testing/layers.ts";
import { inScratch, MIB, toolOutput } from "./testing/test-image.ts";
import { type ProgramRunner, toolWitness } from "./witness.ts";

type Answer = Awaited<ReturnType<ProgramRunner["run"]>>;
interface Answers {
  /** The answer to a question about a part of the disk. */
  volume?: Answer;
  /** The answer to the question about the whole disk. */
  disk?: Answer;
  partx?: Answer;
}

const REAL: ProgramRunner = { run: async (command, ...args) => toolOutput(command, ...args) };

/** The real tools, except for the answers given here. */
function tools({ volume, disk, partx }: Answers): ProgramRunner {
  return {
    run: async (command, ...args) => {
      const answer = command === "partx" ? partx : args.includes("--offset") ? volume : disk;
      return answer ?? REAL.run(command, ...args);
    },
  };
}

async function doubtsWith(
  disk: DiskInLayers,
  machine: ProgramRunner,
): Promise<{ doubts: unknown; skipped: number }> {
  const reader = await openFileReader(disk.path);
  try {
    const usage = await readDiskUsage(reader, {
      consistent: true,
      blockBytes: 512,
      witness: toolWitness(machine, disk.path),
    });
    const used = usage.used.within(0, usage.sizeBytes);
    return { doubts: usage.doubts, skipped: usage.sizeBytes - totalBytes(used) };
  } finally {
    await reader.close();
  }
}

async function withDisk(run: (disk: DiskInLayers) => Promise<void>): Promise<void> {
  await inScratch(async (folder) => {
    const disk = await DiskInLayers.create(folder, 40);
    await disk.mbr("2048,20480,83", "22528,59392,5", "24576,20480,83", "47104,20480,7");
    await disk.ext4(1, 10);
    await disk.ext4(12, 10);
    await disk.ntfs(23, 10);
    await run(disk);
  });
}

test("the real blkid and partx agree with every clean layout, and change nothing in the result", async () => {
  await withDisk(async (disk) => {
    expect([existsSync("/usr/bin/partx"), existsSync("/usr/sbin/blkid")]).toEqual([true, true]);
    const alone = await doubtsWith(disk, { run: async () => undefined });
    expect(alone.skipped).toBeGreaterThan(10 * MIB);
    expect(await doubtsWith(disk, REAL)).toEqual(alone);
    expect(alone.doubts).toEqual([]);
  });
  await inScratch(async (folder) => {
    const disk = await DiskInLayers.create(folder, 400);
    disk.gpt([1, 1, "ef02"], [2, 40, "ef00"], [42, 330, "8300"]);
    await disk.volume(2, 40, "mkfs.vfat");
    await disk.volume(42, 330, "mkfs.xfs", "-q", "-f", "-K");
    const { doubts, skipped } = await doubtsWith(disk, REAL);
    expect(doubts).toEqual([]);
    expect(skipped).toBeGreaterThan(200 * MIB);
  });
});

const inEach = (reason: RegExp) => [reason, reason, reason];
const HANGS: Answer = { status: undefined, output: "" };

test.each<[string, Answers, RegExp[]]>([
  ["blkid finds nothing", { volume: { status: 2, output: "" } }, inEach(/blkid does not find (?:ext4|ntfs)/)],
  ["blkid finds several things", { volume: { status: 8, output: "" } }, inEach(/more than one/)],
  [
    "blkid finds another thing",
    { volume: { status: 0, output: "TYPE=zfs_member\n" } },
    inEach(/finds zfs_member/),
  ],
  [
    "blkid finds a table",
    { volume: { status: 0, output: "TYPE=ext4\nPTTYPE=dos\n" } },
    inEach(/table in it \(dos\)/),
  ],
  ["blkid hangs", { volume: HANGS }, inEach(/does not answer/)],
  ["blkid hangs at the whole disk", { disk: HANGS }, [/does not answer/]],
  ["blkid finds no table", { disk: { status: 2, output: "" } }, [/no partition table/]],
  [
    "blkid finds another table",
    { disk: { status: 0, output: "PTTYPE=gpt\n" } },
    [/another partition table \(gpt\)/],
  ],
  [
    "blkid finds something beside the table",
    { disk: { status: 0, output: "PTTYPE=dos\nTYPE=ext4\n" } },
    [/ext4 beside/],
  ],
  ["blkid finds several things on the disk", { disk: { status: 8, output: "" } }, [/more than one/]],
  [
    "partx lacks partitions",
    { partx: { status: 0, output: "1 2048 20480 0x83\n" } },
    [/does not see partition 5.*does not see partition 6/],
  ],
  [
    "partx sees one more",
    {
      partx: {
        status: 0,
        output: "1 2048 20480 0x83\n5 24576 20480 0x83\n6 47104 20480 0x7\n7 70000 100 0x83\n",
      },
    },
    [/partx sees a partition 7 at sector 70000/],
  ],
  ["partx hangs", { partx: HANGS }, [/does not answer/]],
])("it is a doubt if %s", async (_, answers, reasons) => {
  await withDisk(async (disk) => {
    const { doubts } = await doubtsWith(disk, tools(answers));
    expect(doubts).toMatchObject(reasons.map((reason) => ({ reason: expect.stringMatching(reason) })));
  });
});

test("tools that cannot probe, such as busybox's blkid, are not used as witnesses", async () => {
  await withDisk(async (disk) => {
    const usage = { status: 1, output: "" };
    const { doubts, skipped } = await doubtsWith(disk, tools({ volume: usage, disk: usage, partx: usage }));
    expect(doubts).toEqual([]);
    expect(skipped).toBeGreaterThan(10 * MIB);
  });
});
