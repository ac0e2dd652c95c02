/**
 * Each detector is planted beside a clean ext4. Names, positions and bytes are written here again, from the
 * formats' own descriptions: if a detector is removed or moved, the test of its name fails.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { readDiskUsage } from "../disk-usage.ts";
import {
  type Piece,
  PLANTED_BIOS_RAID,
  PLANTED_FILE_SYSTEMS,
  PLANTED_INSTEAD_OF_EXT4,
  PLANTED_MEMBERS,
  PLANTED_SIZE_BYTES,
  PLANTED_TABLES,
  type Plant,
} from "../testing/planted-signatures.ts";
import { PlantedVolume } from "../testing/planted-volume.ts";
import { createJunkImage, inScratch, MIB, tool } from "../testing/test-image.ts";
import { SIGNATURES } from "./signature-table.ts";

const EXT4_BYTES = 8 * MIB;
const BESIDE_EXT4 = [...PLANTED_MEMBERS, ...PLANTED_BIOS_RAID, ...PLANTED_TABLES, ...PLANTED_FILE_SYSTEMS];

let ext4 = Buffer.alloc(0);
beforeAll(async () => {
  await inScratch(async (folder) => {
    const image = join(folder, "ext4");
    await createJunkImage(image, EXT4_BYTES);
    tool("dd", "if=/dev/zero", `of=${image}`, "bs=1k", "count=8", "conv=notrunc", "status=none");
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", "nodiscard", image);
    ext4 = Buffer.from(await readFile(image));
  });
});

const usageOf = (base: Buffer, pieces: readonly Piece[]) =>
  readDiskUsage(new PlantedVolume(base, pieces), { consistent: true });

const named = (plants: readonly Plant[]): [string, number, Plant][] =>
  plants.map((plant) => [plant.type, plant.pieces[0]?.[0] ?? 0, plant]);

test("an ext4 with nothing planted beside it is read by its free space", async () => {
  const { doubts, used } = await usageOf(ext4, []);
  expect(doubts).toEqual([]);
  expect(used.bytesWithin(0, EXT4_BYTES)).toBeLessThan(EXT4_BYTES);
});

test.each(named(BESIDE_EXT4))(
  "%s at byte %d beside a clean ext4 is a doubt that names both, and everything is copied",
  async (type, _, { pieces }) => {
    const { doubts, used } = await usageOf(ext4, pieces);
    expect(doubts).toHaveLength(1);
    // A table at its own position is the disk's, with the ext4 beside it; otherwise both are in the volume.
    if (type !== "dos") expect(doubts[0]?.reason).toMatch(new RegExp(`\\bas ${type}(?:,|$)`));
    expect(doubts[0]?.reason).toMatch(/\bas ext4(?:,|$)/);
    expect(used.bytesWithin(0, PLANTED_SIZE_BYTES)).toBe(PLANTED_SIZE_BYTES);
  },
);

test.each(named(PLANTED_INSTEAD_OF_EXT4))(
  "%s at byte %d beside XFS is a doubt that names both",
  async (type, _, { pieces }) => {
    const { doubts } = await usageOf(Buffer.from("XFSB"), pieces);
    expect(doubts[0]?.reason).toMatch(/\bas xfs(?:,|$)/);
    expect(doubts[0]?.reason).toMatch(new RegExp(`\\bas ${type === "ext4" ? "ext2" : type}\\b`));
  },
);

test("this test plants a signature for every detector, and only that detector finds it", async () => {
  const planted = new Set<string>();
  const plants = [...BESIDE_EXT4, ...PLANTED_INSTEAD_OF_EXT4];
  for (const { type, pieces } of plants) {
    const volume = new PlantedVolume(Buffer.alloc(0), pieces);
    const found: string[] = [];
    for (const [index, { at: placesIn, magic, magicAt = 0, length = 512, check }] of SIGNATURES.entries()) {
      for (const offset of placesIn(PLANTED_SIZE_BYTES)) {
        const structure = Buffer.from(await volume.read(offset, length + 2048));
        const isThere =
          (!magic || magic.some((each) => each.equals(structure.subarray(magicAt, magicAt + each.length)))) &&
          (!check || check(structure, { offset, sizeBytes: PLANTED_SIZE_BYTES }));
        if (isThere) found.push(`${index} ${SIGNATURES[index]?.type} at ${offset}`);
      }
    }
    expect(found, type).toHaveLength(1);
    for (const each of found) planted.add(each);
  }
  const places = SIGNATURES.flatMap(({ type, at: placesIn }, index) => {
    const offsets = placesIn(PLANTED_SIZE_BYTES).map((offset) => `${index} ${type} at ${offset}`);
    // For rings a few positions stand for all.
    return offsets.length > 100 ? [] : offsets;
  });
  expect(places.filter((place) => !planted.has(place))).toEqual([]);
});
