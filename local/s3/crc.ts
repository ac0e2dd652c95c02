/**
 * The cyclic redundancy checks that Node does not have. All are reflected, start from ones and end inverted.
 */

export interface RunningCheck {
  update(bytes: Uint8Array): void;
  /** Big-endian, as in S3's headers. */
  digest(): Buffer;
}

const CRC32C_TABLE = table32(0x82f63b78);

/** CRC-32C (Castagnoli). */
export class Crc32c implements RunningCheck {
  #state = -1;

  update(bytes: Uint8Array): void {
    let state = this.#state;
    for (let i = 0; i < bytes.length; i++) {
      state = (state >>> 8) ^ (CRC32C_TABLE[(state ^ (bytes[i] ?? 0)) & 0xff] ?? 0);
    }
    this.#state = state;
  }

  digest(): Buffer {
    const out = Buffer.alloc(4);
    out.writeInt32BE(~this.#state);
    return out;
  }
}

const CRC64_TABLE = table64(0x9a6c9329n, 0xac4bc9b5n);

/** CRC-64/NVME, in two halves of 32 bits: a BigInt per byte would be ten times slower. */
export class Crc64Nvme implements RunningCheck {
  #high = -1;
  #low = -1;

  update(bytes: Uint8Array): void {
    let high = this.#high;
    let low = this.#low;
    const { highs, lows } = CRC64_TABLE;
    for (let i = 0; i < bytes.length; i++) {
      const index = (low ^ (bytes[i] ?? 0)) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (lows[index] ?? 0);
      high = (high >>> 8) ^ (highs[index] ?? 0);
    }
    this.#high = high;
    this.#low = low;
  }

  digest(): Buffer {
    const out = Buffer.alloc(8);
    out.writeInt32BE(~this.#high, 0);
    out.writeInt32BE(~this.#low, 4);
    return out;
  }
}

function table32(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    return value;
  });
}

function table64(polynomialHigh: bigint, polynomialLow: bigint): { highs: Int32Array; lows: Int32Array } {
  const polynomial = (polynomialHigh << 32n) | polynomialLow;
  const highs = new Int32Array(256);
  const lows = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    highs[byte] = Number(value >> 32n) | 0;
    lows[byte] = Number(value & 0xffffffffn) | 0;
  }
  return { highs, lows };
}
