import { describeLuks, describeLvm, describeRaid } from "./describe.ts";
import {
  anyOf,
  eitherEndian,
  end,
  hex,
  KIB,
  MIB,
  SECTOR_BYTES,
  type Signature,
  start,
  text,
} from "./signature.ts";

const MD_MAGIC = 0xa92b4efc;
const LVM_SECTORS = start(0, 512, 1024, 1536);
/**
 * https://gitlab.com/cryptsetup/LUKS2-docs: the second header follows the first, whose size is a power of
 * two.
 */
const LUKS_SECOND_HEADERS = start(...[16, 32, 64, 128, 256, 512, 1024, 2048, 4096].map((kib) => kib * KIB));
const BCACHE = hex("c68573f64e1a45ca8265f57f48ba6d81");
const BCACHEFS = hex("c68573f666ce90a9d96a60cf803df7ef");

/** Where the four labels of a ZFS device begin: two at each end. */
function zfsLabels(sizeBytes: number): number[] {
  const size = Math.floor(sizeBytes / (256 * KIB)) * 256 * KIB;
  return [0, 256 * KIB, size - 512 * KIB, size - 256 * KIB];
}

/**
 * Volumes that are part of something larger, or that contain something else: arrays, volume groups, caches,
 * encryption, pools.
 */
export const MEMBER_SIGNATURES: readonly Signature[] = [
  {
    type: "crypto_LUKS",
    at: start(0),
    magic: text("LUKS\xba\xbe"),
    describe: describeLuks,
  },
  {
    type: "crypto_LUKS",
    at: LUKS_SECOND_HEADERS,
    magic: text("SKUL\xba\xbe"),
    check: (header, { offset }) => header.readBigUInt64BE(256) === BigInt(offset),
    describe: describeLuks,
  },
  {
    type: "LVM2_member",
    at: LVM_SECTORS,
    magic: text("LABELONE"),
    check: (sector) => sector.toString("latin1", 24, 32) === "LVM2 001",
    describe: describeLvm,
  },
  {
    type: "LVM1_member",
    at: start(0),
    magic: text("HM"),
    check: (header) => [1, 2].includes(header.readUInt16LE(2)),
  },
  // https://raid.wiki.kernel.org/index.php/RAID_superblock_formats: 0.90 and 1.0 are near the end, 1.1 and
  // 1.2 at the beginning.
  { type: "linux_raid_member", at: end(64 * KIB, 64 * KIB), magic: eitherEndian(MD_MAGIC) },
  {
    type: "linux_raid_member",
    at: end(8 * KIB, 4 * KIB),
    magic: hex("fc4e2ba9"),
    // The end of the last partition can also be the end of the disk: the superblock gives its position in its
    // own device.
    check: (sb, { offset }) =>
      sb.readUInt32LE(4) === 1 && sb.readBigUInt64LE(144) === BigInt(offset / SECTOR_BYTES),
    describe: describeRaid,
  },
  {
    type: "linux_raid_member",
    at: start(0, 4 * KIB),
    magic: hex("fc4e2ba9"),
    check: (sb) => sb.readUInt32LE(4) === 1,
    describe: describeRaid,
  },
  { type: "bcache", at: start(4 * KIB), magicAt: 24, magic: BCACHE },
  {
    type: "bcachefs",
    at: anyOf(start(4 * KIB, 2 * MIB), end(MIB), end(MIB, MIB)),
    magicAt: 24,
    magic: BCACHEFS,
  },
  {
    type: "drbd",
    // DRBD begins at a multiple of 4 KiB; `blkid` looks at the last 4 KiB, wherever they begin.
    at: anyOf(end(4 * KIB, 4 * KIB), end(4 * KIB)),
    magicAt: 60,
    // Versions 0.7, 8, 8.4 after a crash, and 9.
    magic: hex("8374026a", "8374026b", "8374026c", "8374026d"),
  },
  { type: "drbdmanage_control_volume", at: start(0), magic: text("$DRBDmgr=q") },
  { type: "drbdproxy_datalog", at: start(0), magic: text("DRBDdlh*") },
  {
    type: "zfs_member",
    // The ring of uberblocks in each label, at most one per KiB.
    at: (sizeBytes) =>
      zfsLabels(sizeBytes).flatMap((label) =>
        Array.from({ length: 128 }, (_, slot) => label + 128 * KIB + slot * KIB),
      ),
    magic: hex("0cb1ba0000000000", "0000000000bab10c"),
  },
  {
    type: "zfs_member",
    // The description in each label: its first name is "version". Spares and caches have no uberblock.
    at: (sizeBytes) => zfsLabels(sizeBytes).map((label) => label + 16 * KIB),
    magicAt: 24,
    magic: text("version\0"),
    check: (list) => list[0] === 1,
  },
  { type: "DM_integrity", at: start(0), magic: text("integrt\0") },
  { type: "DM_verity_hash", at: start(0), magic: text("verity\0\0") },
  { type: "DM_snapshot_cow", at: start(0), magic: text("SnAp") },
  { type: "vdo", at: start(0), magic: text("dmvdo001") },
  { type: "stratis", at: start(512, 9 * 512), magicAt: 4, magic: text("!Stra0tis\x86\xff\x02^\x41rh") },
  { type: "ceph_bluestore", at: start(0), magic: text("bluestore block device") },
  { type: "oracleasm", at: start(0), magicAt: 32, magic: text("ORCLDISK") },
  { type: "BitLocker", at: start(0), magicAt: 3, magic: text("-FVE-FS-") },
  // On a stick the boot sector is FAT's, with a GUID that identifies BitLocker.
  { type: "BitLocker", at: start(0), magicAt: 0x1a8, magic: hex("3bd66749292ed84a8399f6a339e3d001") },
  {
    type: "cs_fvault2",
    at: start(0),
    magicAt: 88,
    magic: text("CS"),
    check: (header) => header.readUInt16LE(8) === 1 && header.readUInt16LE(10) === 0x10,
  },
  { type: "VMFS_volume_member", at: start(MIB), magic: hex("0dd001c0") },
  { type: "ubi", at: start(0), magic: text("UBI#") },
  // FreeBSD's GEOM classes keep their name in the last sector, OpenBSD's softraid its own in sector 16.
  { type: "geom", at: end(512), magic: text("GEOM::") },
  { type: "softraid", at: start(16 * 512), magic: text("marcCRAM") },
  // Disks of virtual machines that are not raw: oVirt, for example, keeps qcow2 directly on logical volumes.
  { type: "qcow2", at: start(0), magic: text("QFI\xfb") },
  { type: "qed", at: start(0), magic: text("QED\0") },
  { type: "vmdk", at: start(0), magic: text("KDMV") },
  { type: "vhdx", at: start(0), magic: text("vhdxfile") },
  { type: "vhd", at: anyOf(start(0), end(512)), magic: text("conectix") },
  { type: "vdi", at: start(0), magicAt: 64, magic: hex("7f10dabe") },
];
