/** Castagnoli's polynomial, reflected, with which ext4 and XFS protect their metadata. */
const CASTAGNOLI = 0x82f63b78;
/** CRC-16/ARC, reflected: the older group checksums of ext4. */
const CRC16 = 0xa001;

const CASTAGNOLI_TABLE = makeTable(CASTAGNOLI);
const CRC16_TABLE = makeTable(CRC16);

function makeTable(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    return value >>> 0;
  });
}

/** CRC-32C continued from `seed`, without the first and the last inversion. */
export function crc32cRaw(seed: number, bytes: Uint8Array): number {
  return run(CASTAGNOLI_TABLE, seed, bytes);
}

/** The usual CRC-32C. */
export function crc32c(bytes: Uint8Array): number {
  return ~crc32cRaw(0xffff_ffff, bytes) >>> 0;
}

export function crc16(seed: number, bytes: Uint8Array): number {
  return run(CRC16_TABLE, seed, bytes);
}

function run(table: Uint32Array, seed: number, bytes: Uint8Array): number {
  let value = seed;
  for (const byte of bytes) value = (table[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8);
  return value >>> 0;
}
