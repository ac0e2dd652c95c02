/**
 * For tests: what each detector must find, from the formats' own descriptions and not from the detectors'
 * table.
 */
import { crc32 } from "node:zlib";

const KIB = 1024;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** Large enough for btrfs's third superblock, and not a multiple of the units in which ends are counted. */
export const PLANTED_SIZE_BYTES = 257 * GIB + 300 * KIB + 3584;

export type Piece = [offset: number, bytes: string | Buffer];
export interface Plant {
  type: string;
  pieces: Piece[];
}

/** The beginning of the last whole unit of the volume that is `units` units from its end. */
const fromEnd = (units: number, unitBytes = 512): number =>
  (Math.floor(PLANTED_SIZE_BYTES / unitBytes) - units) * unitBytes;
const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(" ", ""), "hex");
const u16 = (value: number): Buffer => hex(value.toString(16).padStart(4, "0")).reverse();
const u32 = (value: number): Buffer => hex(value.toString(16).padStart(8, "0")).reverse();
const u64 = (value: number): Buffer => hex(value.toString(16).padStart(16, "0")).reverse();
const big = (bytes: Buffer): Buffer => Buffer.from(bytes).reverse();
const all = (offsets: number[], plant: (offset: number) => Plant): Plant[] => offsets.map(plant);
const at = (type: string, offset: number, bytes: string | Buffer): Plant => ({
  type,
  pieces: [[offset, bytes]],
});
const sumOf = (bytes: Buffer): number => {
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2) sum += bytes.readUInt16LE(offset);
  return sum & 0xffff;
};

const ZFS_LABELS = [0, 256 * KIB, fromEnd(2, 256 * KIB), fromEnd(1, 256 * KIB)];
const PAGES = [4, 8, 16, 32, 64].map((kib) => kib * KIB);
const MD = "fc4e2ba9";

function lvm(offset: number): Plant {
  return {
    type: "LVM2_member",
    pieces: [
      [offset, "LABELONE"],
      [offset + 24, "LVM2 001"],
    ],
  };
}

export const PLANTED_MEMBERS: readonly Plant[] = [
  at("crypto_LUKS", 0, "LUKS\xba\xbe"),
  ...all([0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000], (offset) => ({
    type: "crypto_LUKS",
    pieces: [
      [offset, "SKUL\xba\xbe"],
      [offset + 256, big(u64(offset))],
    ],
  })),
  ...all([0, 512, 1536], lvm),
  at("LVM1_member", 0, "HM\x01\0"),
  at("linux_raid_member", fromEnd(2, 64 * KIB) + 64 * KIB, hex(MD)),
  at("linux_raid_member", fromEnd(1, 64 * KIB), hex("a92b4efc")),
  {
    type: "linux_raid_member",
    pieces: [
      [fromEnd(2, 4 * KIB), hex(`${MD} 01000000`)],
      [fromEnd(2, 4 * KIB) + 144, u64(fromEnd(2, 4 * KIB) / 512)],
    ],
  },
  ...all([0, 4 * KIB], (offset) => at("linux_raid_member", offset, hex(`${MD} 01000000`))),
  at("bcache", 4 * KIB + 24, hex("c68573f64e1a45ca8265f57f48ba6d81")),
  ...all([4 * KIB, 2 * MIB, PLANTED_SIZE_BYTES - MIB, fromEnd(1, MIB)], (offset) =>
    at("bcachefs", offset + 24, hex("c68573f666ce90a9d96a60cf803df7ef")),
  ),
  ...["6a", "6b", "6c", "6d"].map((last) => at("drbd", fromEnd(1, 4 * KIB) + 60, hex(`837402${last}`))),
  at("drbd", PLANTED_SIZE_BYTES - 4 * KIB + 60, hex("8374026b")),
  at("drbdmanage_control_volume", 0, "$DRBDmgr=q"),
  at("drbdproxy_datalog", 0, "DRBDdlh*"),
  ...all(ZFS_LABELS, (label) => at("zfs_member", label + 128 * KIB, hex("0cb1ba0000000000"))),
  ...all(ZFS_LABELS, (label) => at("zfs_member", label + 255 * KIB, hex("0000000000bab10c"))),
  ...all(ZFS_LABELS, (label) => ({
    type: "zfs_member",
    pieces: [
      [label + 16 * KIB, hex("01")],
      [label + 16 * KIB + 24, "version\0"],
    ],
  })),
  at("DM_integrity", 0, "integrt\0"),
  at("DM_verity_hash", 0, "verity\0\0"),
  at("DM_snapshot_cow", 0, "SnAp"),
  at("vdo", 0, "dmvdo001"),
  ...all([512, 4608], (offset) => at("stratis", offset + 4, "!Stra0tis\x86\xff\x02^\x41rh")),
  at("ceph_bluestore", 0, "bluestore block device"),
  at("oracleasm", 32, "ORCLDISK"),
  at("BitLocker", 0, "\xeb\x58\x90-FVE-FS-"),
  at("BitLocker", 424, hex("3bd66749292ed84a8399f6a339e3d001")),
  {
    type: "cs_fvault2",
    pieces: [
      [8, hex("0100 1000")],
      [88, "CS"],
    ],
  },
  at("VMFS_volume_member", MIB, hex("0dd001c0")),
  at("ubi", 0, "UBI#"),
  at("geom", fromEnd(1), "GEOM::MIRROR"),
  at("softraid", 8 * KIB, "marcCRAM"),
  at("qcow2", 0, "QFI\xfb"),
  at("qed", 0, "QED\0"),
  at("vmdk", 0, "KDMV"),
  at("vhdx", 0, "vhdxfile"),
  ...all([0, fromEnd(1)], (offset) => at("vhd", offset, "conectix")),
  at("vdi", 64, hex("7f10dabe")),
];

function silicon(): Plant {
  const sector = Buffer.alloc(512);
  sector.write("\0\0\0\x2f", 0x60, "latin1");
  sector.writeUInt16LE((0x10000 - sumOf(sector.subarray(0, 0x13e))) & 0xffff, 0x13e);
  return at("silicon_medley_raid_member", fromEnd(1), sector);
}

function jmicron(): Plant {
  const sector = Buffer.alloc(128);
  sector.write("JM");
  sector.writeUInt16LE((0x10000 - sumOf(sector)) & 0xffff, 4);
  return at("jmicron_raid_member", fromEnd(1), sector);
}

export const PLANTED_BIOS_RAID: readonly Plant[] = [
  at("isw_raid_member", fromEnd(2), "Intel Raid ISM Cfg Sig. 1.3.00"),
  at("isw_raid_member", fromEnd(2, 4096), "Intel Raid ISM Cfg Sig. 1.3.00"),
  at("ddf_raid_member", fromEnd(1), hex("de11de11")),
  at("ddf_raid_member", fromEnd(257), hex("de11de11")),
  at("ddf_raid_member", fromEnd(1), hex("11de11de")),
  at("ddf_raid_member", fromEnd(1, 4096), hex("de11de11")),
  at("lsi_mega_raid_member", fromEnd(1), "$XIDE$"),
  {
    type: "via_raid_member",
    pieces: [
      [fromEnd(1), hex("55aa01")],
      [fromEnd(1) + 50, hex("00")],
    ],
  },
  silicon(),
  at("nvidia_raid_member", fromEnd(2), "NVIDIA  "),
  ...all([63, 255, 256, 16, 399, 591, 675, 735, 911, 974, 991, 951, 3087], (sectors) =>
    at("promise_fasttrack_raid_member", fromEnd(sectors), "Promise Technology, Inc."),
  ),
  at("hpt45x_raid_member", fromEnd(11), hex("f316785a")),
  at("hpt45x_raid_member", fromEnd(11), hex("fd16785a")),
  at("hpt37x_raid_member", 9 * 512 + 32, hex("f016785a")),
  at("hpt37x_raid_member", 9 * 512 + 32, hex("fd16785a")),
  {
    type: "adaptec_raid_member",
    pieces: [
      [fromEnd(1), hex("37fc4d1e")],
      [fromEnd(1) + 256, "DPTM"],
    ],
  },
  jmicron(),
];

/** One partition of type 0x83 from sector 2048. */
const MBR_ENTRY = hex("00 000000 83 000000 00080000 00100000");

export const PLANTED_TABLES: readonly Plant[] = [
  {
    type: "dos",
    pieces: [
      [446, MBR_ENTRY],
      [510, hex("55aa")],
    ],
  },
  ...all([512, 4096, fromEnd(1), fromEnd(1, 4096)], (offset) => at("gpt", offset, "EFI PART")),
  ...all([6 * 512, fromEnd(192), fromEnd(1)], (offset) => at("ldm", offset, "PRIVHEAD")),
  ...all([64, 128, 512], (offset) => at("bsd", offset, u32(0x82564557))),
  ...all([0, 512], (offset) => at("dragonfly", offset, u32(0xc4464c59))),
  at("solaris", 524, u32(0x600ddeee)),
  at("unixware", 29 * 512 + 4, u32(0xca5e600d)),
  at("unixware", 29 * 512 + 4, u32(0xcae5600d)),
  at("ultrix", 16 * KIB - 72, Buffer.concat([u32(0x032957), u32(1)])),
  {
    type: "sun",
    pieces: [[508, hex("dabe dabe")]],
  },
  at("sgi", 0, hex("0be5a941")),
  at("aix", 0, hex("c9c2d4c1")),
  {
    type: "mac",
    pieces: [
      [0, "ER\x02\0"],
      [512, "PM"],
    ],
  },
  {
    type: "atari",
    pieces: [
      [0x1c2, big(u32(0x10000))],
      [0x1c6, "\x01GEM"],
      [0x1ca, Buffer.concat([big(u32(2)), big(u32(1000))])],
    ],
  },
  ...all(
    Array.from({ length: 16 }, (_, sector) => sector * 512),
    (offset) => at("amiga", offset, "RDSK"),
  ),
  ...all([4 * KIB, 8 * KIB], (offset) => at("dasd", offset + 4, hex("e5d6d3f1"))),
  ...all([4 * KIB, 8 * KIB], (offset) => at("dasd", offset, hex("d3d5e7f1"))),
  at("dasd", 2 * KIB, hex("c3d4e2f1")),
  at("dasd", 2 * KIB + 4, hex("e5d6d3f1")),
  {
    type: "karma",
    pieces: [
      [286, Buffer.concat([u32(0), hex("4d000000"), u32(63), u32(1000)])],
      [510, hex("56ab")],
    ],
  },
  at("sysv68", 248, "MOTOROLA"),
];

function nilfs(offset: number): Plant {
  const superblock = Buffer.alloc(40);
  superblock.write("44", 6);
  superblock.writeUInt16LE(superblock.length, 8);
  superblock.writeUInt32LE(0x1234, 12);
  superblock.writeUInt32LE(~crc32(superblock, ~0x1234 >>> 0) >>> 0, 16);
  return at("nilfs2", offset, superblock);
}

const ALIKE: Plant[] = [
  ...PAGES.flatMap((page) => ["SWAPSPACE2", "SWAP-SPACE"].map((magic) => at("swap", page - 10, magic))),
  ...PAGES.flatMap((page) =>
    ["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"].map((magic) => at("swsuspend", page - 10, magic)),
  ),
  at("swsuspend", 0, hex("edc302e99856e50c")),
];

export const PLANTED_FILE_SYSTEMS: readonly Plant[] = [
  ...ALIKE,
  at("xfs", 0, "XFSB"),
  at("xfs_realtime", 0, "Frog"),
  ...all([0, 255 * KIB + 512], (offset) => ({
    type: "xfs_external_log",
    pieces: [
      [offset, hex("feedbabe 00000001 00000002")],
      [offset + 300, hex("00000001")],
    ],
  })),
  at("btrfs", 64 * KIB + 64, "_BHRfS_M"),
  ...all([64 * MIB, 256 * GIB], (offset) => ({
    type: "btrfs",
    pieces: [
      [offset + 48, u64(offset)],
      [offset + 64, "_BHRfS_M"],
    ],
  })),
  ...all([0, fromEnd(1)], (offset) => at("ntfs", offset + 3, "NTFS    ")),
  at("exfat", 3, "EXFAT   "),
  ...all([0, fromEnd(1)], (offset) => at("ReFS", offset, "\0\0\0ReFS\0")),
  {
    // FAT16 as DOS made it, without the magic that came later.
    type: "vfat",
    pieces: [
      [11, hex("0002 04 0100 02 0002 0000 f8 4000")],
      [510, hex("55aa")],
    ],
  },
  ...all([KIB, 5 * KIB], (offset) => at("f2fs", offset, u32(0xf2f52010))),
  nilfs(KIB),
  nilfs(fromEnd(8)),
  nilfs(fromEnd(1, 4 * KIB)),
  ...all([32 * KIB, 60 * KIB], (offset) => at("jfs", offset, "JFS1")),
  ...all([8 * KIB, 64 * KIB], (offset) => at("reiserfs", offset + 52, "ReIsErFs")),
  ...["ReIsEr2Fs", "ReIsEr3Fs"].map((magic) => at("reiserfs", 64 * KIB + 52, magic)),
  at("reiserfs", 8 * KIB + 20, "ReIsErFs"),
  at("reiser4", 64 * KIB, "ReIsEr4"),
  at("gfs2", 64 * KIB, hex("01161970")),
  ...all([1, 2, 4, 8], (kib) => at("ocfs2", kib * KIB, "OCFSV2")),
  at("ocfs", 8 * KIB, "OracleCFS"),
  at("VMFS", 2 * MIB, u32(0x2fabf15e)),
  ...all([0, 8, 64, 256], (kib) => at("ufs", kib * KIB + 1372, u32(0x00011954))),
  ...[0x19540119, 0x19960408, 0x00195612, 0x00095014, 0x00612195, 0x05231994].map((magic) =>
    at("ufs", 64 * KIB + 1372, big(u32(magic))),
  ),
  at("apfs", 32, "NXSB"),
  ...all([KIB, fromEnd(2)], (offset) => ({
    type: "hfs",
    pieces: [
      [offset, "BD"],
      [offset + 20, big(u32(4096))],
    ],
  })),
  ...all([KIB, fromEnd(2)], (offset) => ({
    type: "hfsplus",
    pieces: [
      [offset, "H+\0\x04"],
      [offset + 40, big(u32(4096))],
    ],
  })),
  {
    type: "hfsplus",
    pieces: [
      [KIB, "HX\0\x05"],
      [KIB + 40, big(u32(4096))],
    ],
  },
  at("iso9660", 32 * KIB + 1, "CD001"),
  at("iso9660", 32 * KIB + 9, "CDROM"),
  ...["BEA01", "BOOT2", "CDW02", "NSR02", "NSR03", "TEA01"].map((id) => at("udf", 32 * KIB + 1, id)),
  at("squashfs", 0, "hsqs"),
  at("squashfs", 0, "sqsh"),
  at("erofs", KIB, u32(0xe0f5e1e2)),
  ...all([0, 512], (offset) => at("cramfs", offset, u32(0x28cd3d45))),
  at("romfs", 0, "-rom1fs-"),
  at("ubifs", 0, u32(0x06101831)),
  at("zonefs", 0, "SFOZ"),
  ...all([0, 9, 15, 18], (block) => at("sysv", block * KIB + 512 + 504, u32(0xfd187e20))),
  at("xenix", 2 * KIB, hex("2b5544")),
  at("qnx6", 8 * KIB, hex("22111968")),
  at("qnx6", 8 * KIB, hex("68191122")),
  at("hpfs", 8 * KIB, u32(0xf995e849)),
  ...all([0, 512], (offset) => at("befs", offset + 32, "BFS1")),
  at("bfs", 0, u32(0x1badface)),
  at("vxfs", KIB, u32(0xa501fcf5)),
  at("vxfs", 8 * KIB, big(u32(0xa501fcf5))),
  at("nss", 4 * KIB, "SPB5"),
  at("mpool", 0, "mpoolDev"),
  at("scoutfs", 64 * KIB + 4, u32(0x103c428b)),
  at("exfs", 0, "EXFS"),
  at("hammer", 0, big(hex("c8414d4dc5523031"))),
  at("hammer2", 0, big(hex("48414d3205172011"))),
];

/** They are at the position of ext4's superblock, or do not count beside it. */
export const PLANTED_INSTEAD_OF_EXT4: readonly Plant[] = [
  lvm(KIB),
  at("dasd", KIB, hex("d3d5e7f1")),
  at("dasd", KIB + 4, hex("e5d6d3f1")),
  { type: "ext4", pieces: [[KIB + 0x38, hex("53ef")]] },
  ...[false, true].flatMap((swapped) => {
    const order = (bytes: Buffer) => (swapped ? big(bytes) : bytes);
    return [
      ...[0x137f, 0x138f].map((magic) => ({
        type: "minix",
        pieces: [
          [
            KIB,
            Buffer.concat([
              ...[100, 1000, 1, 1, 10, 0].map((value) => order(u16(value))),
              u32(0),
              order(u16(magic)),
            ]),
          ],
        ] as Piece[],
      })),
      ...[0x2468, 0x2478].map((magic) => ({
        type: "minix",
        pieces: [
          [
            KIB,
            Buffer.concat([
              ...[100, 0, 1, 1, 10, 0].map((value) => order(u16(value))),
              u32(0),
              order(u16(magic)),
              order(u16(1)),
              order(u32(1000)),
            ]),
          ],
        ] as Piece[],
      })),
      {
        type: "minix",
        pieces: [
          [
            KIB,
            Buffer.concat([
              order(u32(100)),
              u16(0),
              ...[1, 1, 10, 0, 0].map((value) => order(u16(value))),
              u32(0),
              order(u32(1000)),
              order(u16(0x4d5a)),
            ]),
          ],
        ] as Piece[],
      },
    ];
  }),
];
