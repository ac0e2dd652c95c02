import { createCipheriv, randomBytes } from "node:crypto";
import { open, rm, writeFile } from "node:fs/promises";
import { run } from "./command.ts";
import { createSparse } from "./debian-disk.ts";

const MIB = 2 ** 20;
const CHUNK_BYTES = 4 * MIB;

/** Where the content of a LUKS container begins. */
const LUKS_HEADER_BYTES = 16 * MIB;
const LUKS_SECTOR_BYTES = 4096;
/** Initial vectors count these, whatever the sector size. */
const IV_SECTOR_BYTES = 512;
const VOLUME_KEY_BYTES = 64;

/** Where the content of a member of an array begins, and its superblock (version 1.2). */
const MEMBER_HEADER_BYTES = MIB;
const SUPERBLOCK_OFFSET = 4096;
const SUPERBLOCK_BYTES = 256;
const NEVER = 0xffff_ffff_ffff_ffffn;

/** How large the content of a container is. */
export const contentBytes: Readonly<Record<"luks" | "raid1", (outerBytes: number) => number>> = {
  luks: (outerBytes) => outerBytes - LUKS_HEADER_BYTES,
  raid1: (outerBytes) => outerBytes - MEMBER_HEADER_BYTES,
};

/**
 * Writes a LUKS2 container with this content. `cryptsetup` makes the header, and AES-XTS of this process the
 * rest, so no device mapper is needed. The key is derived fast, for machines under emulation.
 */
export async function wrapInLuks(
  content: string,
  image: string,
  { sizeBytes, uuid, passphrase }: { sizeBytes: number; uuid: string; passphrase: string },
): Promise<void> {
  const volumeKey = randomBytes(VOLUME_KEY_BYTES);
  const keys = { volume: `${image}.volume-key`, passphrase: `${image}.passphrase` };
  await createSparse(image, sizeBytes);
  try {
    await writeFile(keys.volume, volumeKey);
    await writeFile(keys.passphrase, passphrase);
    await run("cryptsetup", [
      ...["luksFormat", "-q", "--type", "luks2", "--uuid", uuid, "--volume-key-file", keys.volume],
      ...["--cipher", "aes-xts-plain64", "--key-size", `${VOLUME_KEY_BYTES * 8}`],
      ...["--sector-size", `${LUKS_SECTOR_BYTES}`, "--offset", `${LUKS_HEADER_BYTES / IV_SECTOR_BYTES}`],
      ...["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", image, keys.passphrase],
    ]);
  } finally {
    await rm(keys.volume, { force: true });
    await rm(keys.passphrase, { force: true });
  }
  const from = await open(content, "r");
  const to = await open(image, "r+");
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let at = 0; ; at += CHUNK_BYTES) {
      const { bytesRead } = await from.read(chunk, 0, CHUNK_BYTES, at);
      if (bytesRead === 0) break;
      await to.write(
        encrypted(chunk.subarray(0, bytesRead), at, volumeKey),
        0,
        bytesRead,
        LUKS_HEADER_BYTES + at,
      );
    }
  } finally {
    await from.close();
    await to.close();
  }
}

function encrypted(content: Buffer, offset: number, key: Buffer): Buffer {
  const sectors: Buffer[] = [];
  for (let at = 0; at < content.length; at += LUKS_SECTOR_BYTES) {
    const vector = Buffer.alloc(16);
    vector.writeBigUInt64LE(BigInt((offset + at) / IV_SECTOR_BYTES));
    const cipher = createCipheriv("aes-256-xts", key, vector);
    sectors.push(cipher.update(content.subarray(at, at + LUKS_SECTOR_BYTES)), cipher.final());
  }
  return Buffer.concat(sectors);
}

/** An array, as the superblocks of its members name it. */
export interface Mirror {
  /** 32 hexadecimal digits. */
  uuid: string;
  /** With the host that made it: `host:0`. */
  name: string;
}

/** Writes the two members of a clean mirror with this content, without the kernel's driver for it. */
export async function wrapInMirror(
  content: string,
  images: readonly [string, string],
  { sizeBytes, mirror }: { sizeBytes: number; mirror: Mirror },
): Promise<void> {
  for (const [role, image] of images.entries()) {
    await createSparse(image, sizeBytes);
    await placeInto(image, content, MEMBER_HEADER_BYTES);
    const file = await open(image, "r+");
    try {
      await file.write(memberSuperblock(role, sizeBytes, mirror), 0, undefined, SUPERBLOCK_OFFSET);
    } finally {
      await file.close();
    }
  }
}

/** https://raid.wiki.kernel.org/index.php/RAID_superblock_formats, "version-1 superblock". */
function memberSuperblock(role: number, sizeBytes: number, { uuid, name }: Mirror): Buffer {
  const members = 2;
  const sectors = BigInt((sizeBytes - MEMBER_HEADER_BYTES) / 512);
  const superblock = Buffer.alloc(SUPERBLOCK_BYTES + 2 * members);
  superblock.writeUInt32LE(0xa92b4efc, 0);
  superblock.writeUInt32LE(1, 4);
  superblock.write(uuid, 16, "hex");
  superblock.write(name, 32);
  superblock.writeInt32LE(1, 72);
  superblock.writeBigUInt64LE(sectors, 80);
  superblock.writeUInt32LE(members, 92);
  superblock.writeBigUInt64LE(BigInt(MEMBER_HEADER_BYTES / 512), 128);
  superblock.writeBigUInt64LE(sectors, 136);
  superblock.writeBigUInt64LE(BigInt(SUPERBLOCK_OFFSET / 512), 144);
  superblock.writeUInt32LE(role, 160);
  superblock.fill(role + 1, 168, 184);
  superblock.writeBigUInt64LE(1n, 200);
  // Nothing is left to be mirrored.
  superblock.writeBigUInt64LE(NEVER, 208);
  superblock.writeUInt32LE(members, 220);
  for (let member = 0; member < members; member++)
    superblock.writeUInt16LE(member, SUPERBLOCK_BYTES + 2 * member);
  let sum = 0n;
  for (let at = 0; at < superblock.length; at += 4) sum += BigInt(superblock.readUInt32LE(at));
  superblock.writeUInt32LE(Number(((sum & 0xffffffffn) + (sum >> 32n)) & 0xffffffffn), 216);
  return superblock;
}

/** Writes a volume into an image of zeros, at a whole MiB. */
export async function placeInto(image: string, volume: string, offsetBytes: number): Promise<void> {
  const where = ["bs=1M", `seek=${offsetBytes / MIB}`, "conv=notrunc,sparse", "status=none"];
  await run("dd", [`if=${volume}`, `of=${image}`, ...where]);
}
