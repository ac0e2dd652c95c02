import { anyOf, end, hex, SECTOR_BYTES, type Signature, start, text } from "./signature.ts";

/** Where Promise's controllers have kept their configuration, in sectors before the end. */
const PROMISE_SECTORS = [16, 63, 255, 256, 399, 591, 675, 735, 911, 951, 974, 991, 3087];

const fromEnd = (sectors: number) => end(sectors * SECTOR_BYTES);

function sum16(bytes: Buffer, length: number): number {
  let sum = 0;
  for (let offset = 0; offset < length; offset += 2) sum += bytes.readUInt16LE(offset);
  return sum & 0xffff;
}

/**
 * Arrays of BIOSes and controllers, which keep their description near the end of each disk. Detected, never
 * read.
 */
export const BIOS_RAID_SIGNATURES: readonly Signature[] = [
  {
    type: "isw_raid_member",
    at: anyOf(fromEnd(2), end(2 * 4096, 4096)),
    magic: text("Intel Raid ISM Cfg Sig. "),
  },
  {
    type: "ddf_raid_member",
    // The anchor in the last sector; behind a controller's own area; and on disks with sectors of 4 KiB.
    at: anyOf(fromEnd(1), fromEnd(257), end(4096, 4096)),
    magic: hex("de11de11", "11de11de"),
  },
  { type: "lsi_mega_raid_member", at: fromEnd(1), magic: text("$XIDE$") },
  {
    type: "via_raid_member",
    at: fromEnd(1),
    magic: hex("55aa"),
    check: (sector) =>
      sector.readUInt8(2) <= 2 &&
      (sector.subarray(0, 50).reduce((sum, byte) => sum + byte, 0) & 0xff) === sector.readUInt8(50),
  },
  {
    type: "silicon_medley_raid_member",
    at: fromEnd(1),
    magicAt: 0x60,
    magic: hex("0000002f"),
    check: (sector) =>
      sector.readUInt8(0x116) < 8 && ((sum16(sector, 0x13e) + sector.readUInt16LE(0x13e)) & 0xffff) === 0,
  },
  { type: "nvidia_raid_member", at: fromEnd(2), magic: text("NVIDIA  ") },
  {
    type: "promise_fasttrack_raid_member",
    at: anyOf(...PROMISE_SECTORS.map(fromEnd)),
    magic: text("Promise Technology, Inc."),
  },
  { type: "hpt45x_raid_member", at: fromEnd(11), magic: hex("f316785a", "fd16785a") },
  {
    type: "hpt37x_raid_member",
    at: start(9 * SECTOR_BYTES),
    magicAt: 32,
    magic: hex("f016785a", "fd16785a"),
  },
  {
    type: "adaptec_raid_member",
    at: fromEnd(1),
    magic: hex("37fc4d1e"),
    check: (sector) => sector.toString("latin1", 0x100, 0x104) === "DPTM",
  },
  {
    type: "jmicron_raid_member",
    at: fromEnd(1),
    magic: text("JM"),
    check: (sector) => sector.readUInt8(0x30) <= 5 && sum16(sector, 128) <= 1,
  },
];
