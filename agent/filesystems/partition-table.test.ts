import { open, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openFileReader } from "../disk/reader.ts";
import type { PartitionTable } from "./partition.ts";
import { readPartitionTable } from "./partition-table.ts";
import { createJunkImage, inScratch, MIB, tool } from "./testing/test-image.ts";
import { usageOf } from "./testing/usage-of.ts";

const LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4";

async function tableOf(path: string): Promise<PartitionTable> {
  const reader = await openFileReader(path);
  try {
    return await readPartitionTable(reader);
  } finally {
    await reader.close();
  }
}

async function makeGpt(folder: string): Promise<string> {
  const image = join(folder, "disk");
  await createJunkImage(image, 16 * MIB);
  tool(
    "sgdisk",
    "--clear",
    "--new=1:2048:+1M",
    "--typecode=1:ef02",
    "--new=3:8192:+4M",
    "--change-name=3:Wurzel ä",
    image,
  );
  return image;
}

async function overwrite(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "r+");
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

test("a GPT gives its partitions with numbers, positions, types and names", async () => {
  await inScratch(async (folder) => {
    const image = await makeGpt(folder);
    const table = await tableOf(image);
    expect(table).toMatchObject({
      kind: "gpt",
      problems: [],
      partitions: [
        { number: 1, offsetBytes: MIB, sizeBytes: MIB, type: "21686148-6449-6e6f-744e-656564454649" },
        { number: 3, offsetBytes: 4 * MIB, sizeBytes: 4 * MIB, type: LINUX, label: "Wurzel ä" },
      ],
    });
    expect(tool("sgdisk", "--print", image)).toContain(table.uuid?.toUpperCase());
  });
});

test("a damaged primary GPT is replaced by its backup, and both damaged mean an unknown table", async () => {
  await inScratch(async (folder) => {
    const image = await makeGpt(folder);
    const good = await tableOf(image);
    await overwrite(image, 1024 + 40, Buffer.from("flipped"));
    const table = await tableOf(image);
    expect(table.partitions).toEqual(good.partitions);
    expect(table.problems.join()).toContain("checksum of its entries");

    await overwrite(image, 16 * MIB - 512 + 16, Buffer.from("flip"));
    expect(await tableOf(image)).toMatchObject({ kind: "unknown", partitions: [] });
    expect((await usageOf(image)).used).toEqual([{ offset: 0, length: 16 * MIB }]);
  });
});

test("a partition beyond the end of the disk makes the table unknown", async () => {
  await inScratch(async (folder) => {
    const image = await makeGpt(folder);
    await truncate(image, 6 * MIB);
    expect(await tableOf(image)).toMatchObject({
      kind: "unknown",
      problems: ["the space that the GPT manages ends beyond the disk", "partition 3 ends beyond the disk"],
    });
  });
});

test("an MBR gives primary and logical partitions, numbered as Linux numbers them", async () => {
  await inScratch(async (folder) => {
    const image = join(folder, "disk");
    await createJunkImage(image, 64 * MIB);
    await overwrite(image, 0, new Uint8Array(512));
    const script = join(folder, "script");
    const primary = ["2048,8192,83,*", "10240,40960,5", "51200,4096,83", "55296,4096,83"];
    const lines = ["label: dos", "label-id: 0xcafe1234", ...primary, ",8192,82", ",8192,83"];
    await writeFile(script, `${lines.join("\n")}\n`);
    tool("sh", "-c", `sfdisk -q ${image} < ${script}`);
    const listed = JSON.parse(tool("sfdisk", "--json", image)).partitiontable;
    const table = await tableOf(image);
    expect(table).toMatchObject({ kind: "mbr", uuid: "0xcafe1234", problems: [] });
    const containers = listed.partitions.filter(({ type }: { type: string }) => type !== "5");
    expect(table.partitions.toSorted((a, b) => a.number - b.number)).toEqual(
      containers.map(
        (each: { node: string; start: number; size: number; type: string; bootable?: boolean }) => ({
          number: Number(/\d+$/.exec(each.node)?.[0]),
          offsetBytes: each.start * 512,
          sizeBytes: each.size * 512,
          type: `0x${each.type}`,
          bootable: each.bootable === true,
        }),
      ),
    );
    expect(table.partitions.filter((partition) => partition.number >= 5)).toHaveLength(2);
  });
});

test("a circular chain of logical partitions is reported, not followed forever", async () => {
  await inScratch(async (folder) => {
    const image = join(folder, "disk");
    await createJunkImage(image, 8 * MIB);
    const record = Buffer.alloc(512);
    record.writeUInt16LE(0xaa55, 510);
    record.set([0, 0, 0, 0, 5], 446);
    record.writeUInt32LE(2048, 454);
    record.writeUInt32LE(4096, 458);
    await overwrite(image, 0, record);
    // An extended boot record that names itself as the next one.
    const link = Buffer.from(record);
    link.copy(link, 462, 446, 462);
    link.fill(0, 446, 462);
    link.writeUInt32LE(0, 470);
    await overwrite(image, MIB, link);
    expect(await tableOf(image)).toMatchObject({
      kind: "unknown",
      problems: ["the chain of logical partitions is broken"],
    });
  });
});

test("a file system's boot sector is not taken for a partition table", async () => {
  await inScratch(async (folder) => {
    for (const [mkfs, ...options] of [
      ["mkfs.ntfs", "-F", "-Q"],
      ["mkfs.vfat"],
      ["mkfs.exfat"],
      ["mke2fs", "-q", "-F"],
    ] as const) {
      const image = join(folder, mkfs);
      await createJunkImage(image, 16 * MIB);
      await overwrite(image, 0, new Uint8Array(512));
      tool(mkfs, ...options, image);
      expect(await tableOf(image)).toMatchObject({ kind: "none" });
    }
  });
});

test("only free space inside partitions is left out: tables, gaps and boot loaders between them are kept", async () => {
  await inScratch(async (folder) => {
    const image = join(folder, "disk");
    await createJunkImage(image, 16 * MIB);
    tool("sgdisk", "--clear", "--new=1:4096:+8M", image);
    tool("mke2fs", "-q", "-F", "-E", `nodiscard,offset=${2 * MIB}`, "-b", "1024", image, "8M");
    const { used, volumes } = await usageOf(image);
    expect(volumes).toMatchObject([
      { name: "partition 1", content: { type: "ext2" }, method: "free-space-map" },
    ]);
    expect(used[0]?.offset).toBe(0);
    expect(used[0]?.length).toBeGreaterThan(2 * MIB);
    expect(used.at(-1)).toEqual({ offset: 10 * MIB, length: 6 * MIB });
    expect(used.length).toBeGreaterThanOrEqual(2);
  });
});

test("a GPT that counts in other sectors than the disk's is a problem, because Linux shows no partition of it", async () => {
  await inScratch(async (folder) => {
    const reader = await openFileReader(await makeGpt(folder));
    try {
      expect((await readPartitionTable(reader, 512)).problems).toEqual([]);
      const { problems } = await readPartitionTable(reader, 4096);
      expect(problems).toEqual(["the GPT counts in sectors of 512 bytes, and the disk has 4096"]);
    } finally {
      await reader.close();
    }
  });
});
