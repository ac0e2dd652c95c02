import { randomBytes } from "node:crypto";
import { copyFile, mkdir, open, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MIB, mounted, tool } from "../test-image.ts";
import { writeRestartPages } from "./ntfs-restart-pages.ts";
import { exfatUsed, extUsed, FILE_NAME, ntfsUsed, type Template, toTemplate, xfsUsed } from "./template.ts";

type Make = (image: string, file: string) => Promise<Template>;

const ext =
  (sizeMib: number, ...options: string[]): Make =>
  async (image, file) => {
    await truncate(image, sizeMib * MIB);
    tool("mke2fs", "-q", "-F", "-d", join(file, ".."), ...options, image);
    return toTemplate(`ext ${sizeMib} MiB ${options.join(" ")}`, image, "ext", extUsed(image));
  };

/** As it is on the disk while it is mounted: the newest state is in its journal. */
const extInUse =
  (sizeMib: number): Make =>
  async (image, file) => {
    await truncate(image, sizeMib * MIB);
    tool("mke2fs", "-q", "-F", "-t", "ext4", image);
    const live = `${image}.live`;
    await mounted(image, "rw", async (folder) => {
      await copyFile(file, join(folder, FILE_NAME));
      tool("sync", "-f", folder);
      tool("cp", "--sparse=always", image, live);
    });
    return toTemplate(`ext4 ${sizeMib} MiB in use`, live, "none", "everything");
  };

const xfs =
  (sizeMib: number, ...options: string[]): Make =>
  async (image, file) => {
    await truncate(image, sizeMib * MIB);
    const prototype = `${image}.prototype`;
    await writeFile(prototype, `/dev/null\n0 0\nd--755 0 0\n${FILE_NAME} ---644 0 0 ${file}\n$\n`);
    tool("mkfs.xfs", "-q", "--unsupported", "-K", "-p", prototype, ...options, image);
    return toTemplate(`xfs ${sizeMib} MiB ${options.join(" ")}`, image, "xfs", xfsUsed(image));
  };

const xfsInUse =
  (sizeMib: number): Make =>
  async (image, file) => {
    await truncate(image, sizeMib * MIB);
    tool("mkfs.xfs", "-q", "--unsupported", "-K", image);
    const live = `${image}.live`;
    await mounted(image, "rw", async (folder) => {
      await copyFile(file, join(folder, FILE_NAME));
      tool("sync", "-f", folder);
      tool("cp", "--sparse=always", image, live);
    });
    return toTemplate(`xfs ${sizeMib} MiB in use`, live, "none", "everything");
  };

const ntfs =
  (sizeMib: number, change: (image: string) => Promise<void>, ...options: string[]): Make =>
  async (image, file) => {
    await truncate(image, sizeMib * MIB);
    tool("mkfs.ntfs", "-F", "-Q", "-q", ...options, image);
    tool("ntfscp", "-q", image, file, FILE_NAME);
    await change(image);
    const used = await ntfsUsed(image);
    const checker = used === "everything" ? "none" : "ntfs";
    return toTemplate(`ntfs ${sizeMib} MiB ${options.join(" ")} ${change.name}`, image, checker, used);
  };

/** Without the file: no program here writes to it. */
const exfat =
  (sizeMib: number): Make =>
  async (image) => {
    await truncate(image, sizeMib * MIB);
    tool("mkfs.exfat", image);
    return toTemplate(`exfat ${sizeMib} MiB`, image, "exfat", exfatUsed(image));
  };

const asMade = async () => {};
const newerPageInUse = (image: string) => writeRestartPages(image, ["old and clean", "new and in use"]);
const olderPageInUse = (image: string) => writeRestartPages(image, ["new and clean", "old and in use"]);
async function hibernated(image: string): Promise<void> {
  const file = `${image}.hiberfil`;
  await writeFile(file, Buffer.alloc(8192, "hibr"));
  tool("ntfscp", "-q", image, file, "hiberfil.sys");
}

/** A file system whose free-space map is not read here: all of it counts. */
const other =
  (sizeMib: number, command: string, ...options: string[]): Make =>
  async (image) => {
    await truncate(image, sizeMib * MIB);
    tool(command, ...options, image);
    return toTemplate(`${command} ${sizeMib} MiB`, image, "none", "everything");
  };

const luks =
  (sizeMib: number, type: "luks1" | "luks2"): Make =>
  async (image) => {
    await truncate(image, sizeMib * MIB);
    const key = `${image}.key`;
    await writeFile(key, "secret");
    const cheap = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    const small = type === "luks2" ? ["--luks2-metadata-size", "16k", "--luks2-keyslots-size", "256k"] : [];
    tool("cryptsetup", "luksFormat", "-q", "--type", type, ...cheap, ...small, image, key);
    // What follows the header looks like noise.
    const file = await open(image, "r+");
    await file.write(randomBytes(MIB), 0, MIB, 3 * MIB);
    await file.close();
    return toTemplate(type, image, "none", "everything");
  };

const MAKERS: readonly Make[] = [
  ext(6, "-t", "ext4", "-b", "1024"),
  ext(8, "-t", "ext4", "-b", "4096"),
  ext(12, "-t", "ext4", "-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode"),
  ext(16, "-t", "ext4", "-b", "4096", "-C", "16384", "-O", "bigalloc,^resize_inode"),
  ext(9, "-t", "ext4", "-b", "1024", "-O", "^metadata_csum,uninit_bg"),
  ext(9, "-t", "ext4", "-b", "2048", "-O", "^metadata_csum,^uninit_bg,^has_journal"),
  ext(7, "-t", "ext3", "-b", "1024"),
  ext(8, "-t", "ext2", "-b", "4096"),
  ext(20, "-t", "ext4"),
  ext(40, "-t", "ext4", "-b", "4096"),
  ext(61, "-t", "ext4", "-b", "4096"),
  ext(64, "-t", "ext4", "-b", "1024"),
  ext(64, "-t", "ext2", "-b", "4096"),
  ext(96, "-t", "ext4", "-b", "4096"),
  extInUse(9),
  extInUse(64),
  xfs(20),
  xfs(24, "-m", "crc=0"),
  xfs(42),
  xfs(64),
  xfs(60, "-b", "size=1024"),
  xfsInUse(20),
  ntfs(6, asMade, "-c", "512"),
  ntfs(14, asMade),
  ntfs(41, asMade),
  ntfs(64, asMade),
  ntfs(14, newerPageInUse),
  ntfs(14, olderPageInUse),
  ntfs(14, hibernated),
  exfat(9),
  exfat(48),
  other(4, "mkswap"),
  other(6, "mkfs.vfat", "-F", "12"),
  other(20, "mkfs.vfat", "-F", "16"),
  other(18, "mkfs.btrfs", "-q", "-M"),
  luks(5, "luks1"),
  luks(5, "luks2"),
];

/**
 * One of each kind, made once. The larger ones are almost empty: their free space can contain another layer.
 */
export async function makeFileSystems(folder: string): Promise<Template[]> {
  const files = join(folder, "files");
  await mkdir(files);
  const file = join(files, FILE_NAME);
  await writeFile(file, randomBytes(700_001));
  const templates: Template[] = [];
  for (const [index, make] of MAKERS.entries()) {
    const image = join(folder, `file-system-${index}`);
    await writeFile(image, "");
    templates.push(await make(image, file));
  }
  return templates;
}

export const preciousBytes = (folder: string): Promise<Buffer> => readFile(join(folder, "files", FILE_NAME));

/** `make-bcache` writes its superblock at 4 KiB, and zeros before it; the data begins at 8 KiB. */
export async function makeBcacheHead(folder: string): Promise<Buffer> {
  const image = join(folder, "bcache");
  await writeFile(image, Buffer.alloc(MIB));
  tool("make-bcache", "-B", image);
  return (await readFile(image)).subarray(0, 8192);
}
