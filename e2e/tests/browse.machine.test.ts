/**
 * An operator looks into a recovery point: the disks have real file systems with names that no terminal and
 * no shell likes, and everything that is written must be what was on them.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync } from "node:fs";
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Browser } from "#agent/browse/browser.ts";
import { NoFileSystemError } from "#agent/browse/errors.ts";
import { openFileReader } from "#agent/disk/reader.ts";
import { inPhysicalVolume } from "#agent/filesystems/testing/physical-volume.ts";
import { createSparse, mounted, place, tool } from "#agent/filesystems/testing/test-image.ts";
import type { Plan, Run } from "#shared/protocol/protection.ts";
import { cachedBootImage } from "../machines/cold-site.ts";
import { Site } from "../testing/site.ts";
import { until } from "../testing/until.ts";

const MIB = 2 ** 20;
/** Where LVM puts the first extent of a small volume group. */
const FIRST_EXTENT_MIB = 1;

let scratch: string;
let site: Site;
let image: string;
let point: string;
/** What was written to the top folder of each file system. */
const written: Record<string, string[]> = {};

/** Everything below a folder: each path in hexadecimal, with what a tar keeps of it. */
async function treeOf(top: Buffer, inside: Buffer = Buffer.alloc(0)): Promise<string[]> {
  const lines: string[] = [];
  for (const name of (await readdir(top, { encoding: "buffer" })).sort(Buffer.compare)) {
    const location = Buffer.concat([top, Buffer.from("/"), name]);
    const path = Buffer.concat([inside, Buffer.from("/"), name]);
    const stats = await lstat(location);
    const facts: unknown[] = [path.toString("hex"), stats.mode.toString(8), stats.uid, stats.gid];
    facts.push(Math.floor(stats.mtimeMs / 1000));
    if (stats.isSymbolicLink())
      facts.push((await readlink(location, { encoding: "buffer" })).toString("hex"));
    if (stats.isCharacterDevice()) facts.push(stats.rdev);
    if (stats.isFile())
      facts.push(
        stats.size,
        createHash("sha256")
          .update(await readFile(location))
          .digest("hex"),
      );
    lines.push(facts.join(" "));
    if (stats.isDirectory()) lines.push(...(await treeOf(location, path)));
  }
  return lines;
}

const HOSTILE_NAMES: readonly Buffer[] = [
  ...["new\nline", "\u001b[31mred\u001b[2J", "--checkpoint-action=exec=sh", " space ", "back\\slash", "..."],
  ...["größe", "\u202egpj.exe", "*", "$(reboot)", "n".repeat(255)],
]
  .map((name) => Buffer.from(name))
  .concat([Buffer.from([0xff, 0xfe, 0x80]), Buffer.from([0x01, 0x7f])]);

/** Fills the top folder `data` of a mounted file system, and keeps what is there for comparison. */
async function fill(mountPoint: string, name: string): Promise<void> {
  const top = join(mountPoint, "data");
  await mkdir(join(top, "deep/er/still"), { recursive: true });
  for (const [at, each] of HOSTILE_NAMES.entries())
    await writeFile(Buffer.concat([Buffer.from(`${top}/`), each]), `content ${at} of ${name}\n`);
  await writeFile(join(top, "deep/er/large"), Buffer.alloc(3 * MIB + 17, `large ${name} `));
  await writeFile(join(top, "deep/empty"), "");
  await writeFile(join(top, "sparse"), "start");
  await truncate(join(top, "sparse"), 20 * MIB);
  await symlink("/etc/shadow", join(top, "absolute-link"));
  await symlink("../../../../etc", join(top, "deep/climbing-link"));
  await symlink("t".repeat(200), join(top, "long-link"));
  tool("mkfifo", join(top, "pipe"));
  tool("mknod", join(top, "device"), "c", "10", "200");
  tool("chown", "1234:4321", join(top, "deep/empty"));
  tool("chmod", "4751", join(top, "deep/er/large"));
  await utimes(join(top, "sparse"), 1_000_000_000, 1_000_000_000);
  await utimes(join(top, "deep"), 1_100_000_000, 1_100_000_000);
  written[name] = await treeOf(Buffer.from(top));
}

/** The partitions of the first disk, in MiB. */
const PARTITIONS = [
  { name: "ext4", start: 1, size: 96 },
  { name: "fat", start: 97, size: 40 },
  { name: "swap", start: 137, size: 8 },
  { name: "ntfs", start: 145, size: 32 },
  { name: "btrfs", start: 177, size: 128 },
];

async function partitionedDisk(path: string): Promise<void> {
  const [ext4 = "", fat = "", swap = "", ntfs = "", btrfs = ""] = PARTITIONS.map(({ name, size }) => {
    const volume = join(scratch, `${name}.raw`);
    createSparse(volume, size);
    return volume;
  });
  const small = join(scratch, "small");
  await mkdir(small);
  await writeFile(join(small, "größe.txt"), "small\n");
  tool("mkfs.ext4", "-q", "-L", "root", ext4);
  await mounted(ext4, "rw", (folder) => fill(folder, "ext4"));
  tool("mkfs.vfat", "-n", "EFI", fat);
  tool("mcopy", "-i", fat, join(small, "größe.txt"), "::small.txt");
  tool("mkswap", swap);
  tool("mkfs.ntfs", "-q", "-Q", "-F", ntfs);
  tool("ntfscp", ntfs, join(small, "größe.txt"), "small.txt");
  tool("mkfs.btrfs", "-q", "--rootdir", small, btrfs);
  createSparse(path, 310);
  const table = PARTITIONS.map(({ start, size }) => `start=${start}MiB, size=${size}MiB`);
  execFileSync("/usr/sbin/sfdisk", ["-q", path], { input: ["label: gpt", ...table].join("\n") });
  for (const { name, start } of PARTITIONS) place(join(scratch, `${name}.raw`), path, start);
}

/** XFS on a logical volume whose group is on both disks. */
async function logicalDisks(paths: readonly [string, string]): Promise<void> {
  const xfs = join(scratch, "xfs.raw");
  createSparse(xfs, 320);
  tool("mkfs.xfs", "-q", "-L", "data", xfs);
  await mounted(xfs, "rw", (folder) => fill(folder, "xfs"));
  for (const path of paths) createSparse(path, 200);
  const perDisk = 196;
  await inPhysicalVolume(paths, (lvm, devices) => {
    lvm("vgcreate", "-q", "group", ...devices);
    const inactive = ["-an", "-Wn", "-Zn"];
    lvm("lvcreate", "-q", ...inactive, "-l", String(320 / 4), "-n", "data-1", "group", ...devices);
  });
  tool(
    "dd",
    `if=${xfs}`,
    `of=${paths[0]}`,
    "bs=1M",
    `seek=${FIRST_EXTENT_MIB}`,
    `count=${perDisk}`,
    "conv=notrunc",
    "status=none",
  );
  tool(
    "dd",
    `if=${xfs}`,
    `of=${paths[1]}`,
    "bs=1M",
    `seek=${FIRST_EXTENT_MIB}`,
    `skip=${perDisk}`,
    "conv=notrunc",
    "status=none",
  );
}

beforeAll(async () => {
  image = await cachedBootImage(console.log);
  scratch = await mkdtemp(join(tmpdir(), "causeway-browse-e2e-"));
  const disks = {
    vda: join(scratch, "vda.raw"),
    vdb: join(scratch, "vdb.raw"),
    vdc: join(scratch, "vdc.raw"),
  };
  await partitionedDisk(disks.vda);
  await logicalDisks([disks.vdb, disks.vdc]);
  site = await Site.start({ disks: {}, otherDisks: disks });
  const plan = (await site.installation.json([
    "protect",
    site.sourceId,
    "--every",
    "1h",
    "--keep",
    "last=5",
  ])) as Plan;
  const run = await until(
    "the first run to complete",
    async () => {
      const { items } = await site.api.listRuns({ parameters: { id: plan.id }, query: { limit: 10 } });
      return items.find(({ state }: Run) => state === "completed");
    },
    240,
  );
  point = run.pointId ?? "";
});
afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

const browse = (disk: string, ...words: string[]) =>
  site.installation.cli(["browse", point, "--disk", disk, "--boot-image", image, ...words]);
async function documentOf(disk: string, ...words: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await browse(disk, ...words, "--json");
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** The tar of a folder, unpacked by GNU tar, compared with what was written. */
async function expectWhole(disk: string, volume: string, name: string): Promise<void> {
  const archive = join(scratch, `${name}.tar`);
  expect(await documentOf(disk, "/data", "--volume", volume, "--output", archive)).toMatchObject({
    format: "tar",
    output: archive,
    sockets: 0,
  });
  expect((await stat(archive)).mode & 0o777).toBe(0o600);
  const again = await browse(disk, "/data", "--volume", volume, "--output", archive);
  expect(again).toMatchObject({ code: 4, stderr: expect.stringContaining("exists already") });
  const folder = join(scratch, `${name}-unpacked`);
  await mkdir(folder);
  tool("tar", "--same-owner", "--numeric-owner", "-xpf", archive, "-C", folder);
  expect(await treeOf(Buffer.from(join(folder, "data")))).toEqual(written[name]);
}

test("without a path the volumes are listed, with what cannot be read, and an ambiguous one must be named", async () => {
  const { volumes } = await documentOf("vda");
  expect(volumes).toMatchObject([
    { name: "partition 1", type: "ext4", label: "root", sizeBytes: 96 * MIB },
    { name: "partition 2", type: "vfat", label: "EFI" },
    { name: "partition 3", type: "swap", problem: "swap" },
    { name: "partition 4", type: "ntfs" },
    { name: "partition 5", type: "btrfs" },
  ]);
  const ambiguous = await browse("vda", "/data");
  expect(ambiguous).toMatchObject({ code: 4, stdout: "" });
  expect(ambiguous.stderr).toContain('--volume "partition 1", --volume "partition 2"');
});

test("a folder of ext4 is listed with names that the terminal does not obey, and each can be typed as it is shown", async () => {
  const words = ["/data", "--volume", "partition 1"];
  const { stdout, code } = await browse("vda", ...words);
  expect(code).toBe(0);
  const rows = stdout.trimEnd().split("\n");
  expect(rows).toHaveLength(HOSTILE_NAMES.length + 6);
  expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
  expect(rows.find((row) => row.includes("absolute-link"))).toMatch(
    /^lrwx.* absolute-link -> \/etc\/shadow$/,
  );
  expect(rows.find((row) => row.endsWith(" sparse"))).toMatch(
    /^-rw-r--r-- +20971520 {2}2001-09-09 01:46:40 {2}sparse$/,
  );
  expect(rows.find((row) => row.includes("device"))).toMatch(/^crw/);
  const shown =
    rows
      .find((row) => row.includes("\\xff\\xfe\\x80"))
      ?.split("  ")
      .at(-1) ?? "";
  const one = await browse("vda", `/data/${shown}`, "--volume", "partition 1", "--output", "-");
  expect(one).toMatchObject({ code: 0, stdout: "content 11 of ext4\n" });
});

test("a tar of a folder of ext4 unpacks to exactly what was written", async () => {
  await expectWhole("vda", "partition 1", "ext4");
});

test("a tar of XFS on a logical volume over two disks unpacks to exactly what was written", async () => {
  await expectWhole("vdb", "group/data-1", "xfs");
});

test("one guest answers many questions: other file systems, and everything that cannot be answered", async () => {
  const readers = await Promise.all(
    ["vda", "vdb", "vdc"].map((name) => openFileReader(join(scratch, `${name}.raw`))),
  );
  const disks = readers.map((reader, at) => ({ name: ["vda", "vdb", "vdc"][at] ?? "", reader }));
  const browser = await Browser.start({ imageFolder: image, disks });
  const read = async (ask: "list" | "content", volume: string, path: string, disk = 0) => {
    let content = "";
    for await (const part of browser.read({ ask, disk, volume, path: Buffer.from(path) }))
      if (part.kind === "data") content += part.bytes.toString();
    return content;
  };
  try {
    for (const [volume, path] of [
      ["partition 2", "/small.txt"],
      ["partition 4", "/small.txt"],
      ["partition 5", "/größe.txt"],
    ] as const)
      expect(await read("content", volume, path), volume).toBe("small\n");
    expect(await read("content", "group/data-1", "/data/größe", 2)).toMatch(/^content 6 of xfs/);
    await expect(read("list", "partition 1", "/nothing")).rejects.toThrow(
      "there is no /nothing on partition 1 of vda",
    );
    await expect(read("content", "partition 1", "/data/absolute-link")).rejects.toThrow("but a link");
    await expect(read("list", "partition 3", "/")).rejects.toThrow(NoFileSystemError);
    await expect(read("list", "partition 9", "/")).rejects.toThrow("there is no volume partition 9 of vda");
    expect(await read("content", "partition 1", "/data/deep/empty")).toBe("");
  } finally {
    await browser.close();
    for (const reader of readers) await reader.close();
  }
});

test("a damaged pack is named, and nothing of the file is left", async () => {
  const packs = globSync(join(site.dir, "cloud/s3/buckets/*/sources/*/packs/*"));
  for (const path of packs) await writeFile(path, Buffer.alloc((await stat(path)).size, 0x55));
  const output = join(scratch, "damaged.tar");
  const { code, stderr } = await browse("vda", "/data", "--volume", "partition 1", "--output", output);
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/sources\/.*\/packs\/[0-9a-f]{64} is damaged/),
  });
  expect(globSync(join(scratch, "{damaged.tar,.damaged.tar*}"))).toEqual([]);
});
