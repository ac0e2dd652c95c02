/** What a partition's type says about its content. */
export interface PartitionType {
  name: string;
  /**
   * The contents whose free space is read and that agree with this type. All others are copied whole anyway.
   */
  holds: readonly string[];
}

const EXT = ["ext2", "ext3", "ext4"];
const LINUX = [...EXT, "xfs", "LVM2_member"];
const NOTHING: readonly string[] = [];

/**
 * https://uapi-group.org/specifications/specs/discoverable_partitions_specification/, and util-linux's
 * pt-gpt-partnames.h.
 */
const LINUX_GUIDS = [
  "0fc63daf-8483-4772-8e79-3d69d8477de4", // data
  "933ac7e1-2eb4-4f13-b844-0e14e2aef915", // home
  "773f91ef-66d4-49b5-bd83-d683bf40ad16", // a user's home
  "3b8f8425-20e0-4f3b-907f-1a25a76f98e8", // srv
  "4d21b016-b534-45c2-a9fb-5c16e091fd2d", // var
  "7ec6f557-3bc5-4aca-b293-16ef5df639d1", // tmp
  "bc13c2ff-59e6-4262-a352-b275fd6f7172", // extended boot
  "44479540-f297-41b2-9af7-d131d5f0458a", // root, x86
  "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", // root, x86-64
  "69dad710-2ce4-4e3c-b16c-21a1d49abed3", // root, arm
  "b921b045-1df0-41c3-af44-4c6f280d3fae", // root, arm64
  "75250d76-8cc6-458e-bd66-bd47cc81a812", // usr, x86
  "8484680c-9521-48c6-9c11-b0720656f69e", // usr, x86-64
  "7d0359a3-02b3-4f0a-865c-654403e70625", // usr, arm
  "b0e01050-ee5f-4390-949a-9101b17104e9", // usr, arm64
];

const NAMES_BY_GUID: readonly [guid: string, name: string, holds?: readonly string[]][] = [
  // Until 2012 parted used this type for Linux file systems, too.
  ["ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "basic data", ["ntfs", "exfat", ...EXT, "xfs"]],
  ["de94bba4-06d1-4d40-a16a-bfd50179d6ac", "Windows recovery", ["ntfs"]],
  ["e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM", ["LVM2_member"]],
  ["0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"],
  ["a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID"],
  ["ca7d7ccb-63ed-4c53-861c-1742536059cc", "LUKS"],
  ["7ffec5c9-2d00-49b7-8941-3ea10a5586b7", "plain dm-crypt"],
  ["8da63339-0007-60c0-c436-083ac8230908", "Linux reserved"],
  ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"],
  ["21686148-6449-6e6f-744e-656564454649", "BIOS boot"],
  ["9e1a2d38-c612-4316-aa26-8b49521e5a8b", "PReP boot"],
  ["e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved"],
];

const FAT_TYPES = [0x01, 0x04, 0x06, 0x0b, 0x0c, 0x0e, 0x11, 0x14, 0x16, 0x1b, 0x1c, 0x1e];

const TYPES = new Map<string, PartitionType>([
  ...LINUX_GUIDS.map((guid) => [guid, { name: "Linux", holds: LINUX }] as const),
  ...NAMES_BY_GUID.map(([guid, name, holds = NOTHING]) => [guid, { name, holds }] as const),
  ...FAT_TYPES.map((type) => [mbrType(type), { name: "FAT", holds: NOTHING }] as const),
  ...[0x07, 0x17].map((type) => [mbrType(type), { name: "NTFS", holds: ["ntfs", "exfat"] }] as const),
  [mbrType(0x27), { name: "NTFS", holds: ["ntfs"] }],
  [mbrType(0x82), { name: "Linux swap", holds: NOTHING }],
  [mbrType(0x83), { name: "Linux", holds: LINUX }],
  [mbrType(0x8e), { name: "Linux LVM", holds: ["LVM2_member"] }],
  [mbrType(0xea), { name: "Linux", holds: LINUX }],
  [mbrType(0xfd), { name: "Linux RAID", holds: NOTHING }],
  [mbrType(0xe8), { name: "LUKS", holds: NOTHING }],
  [mbrType(0xef), { name: "EFI system", holds: NOTHING }],
  [mbrType(0x41), { name: "PReP boot", holds: NOTHING }],
]);

/**
 * Parts of a Windows dynamic disk: volumes of any layout span the whole disk, described by a database that is
 * not read here.
 */
const DYNAMIC_DISK_TYPES = new Set([
  mbrType(0x42),
  "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3",
  "af9b60a0-1431-4f62-bc68-3311714a69ad",
]);

export function partitionTypeOf(type: string): PartitionType | undefined {
  return TYPES.get(type);
}

export function isDynamicDiskType(type: string): boolean {
  return DYNAMIC_DISK_TYPES.has(type);
}

function mbrType(type: number): string {
  return `0x${type.toString(16).padStart(2, "0")}`;
}
