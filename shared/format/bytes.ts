import { DamagedObjectError } from "./errors.ts";

/** Writes little-endian fields one after another into a buffer of known size. */
export class ByteWriter {
  readonly bytes: Buffer;
  #at = 0;

  constructor(length: number) {
    this.bytes = Buffer.alloc(length);
  }

  u8(value: number): this {
    this.#at = this.bytes.writeUInt8(value, this.#at);
    return this;
  }
  u16(value: number): this {
    this.#at = this.bytes.writeUInt16LE(value, this.#at);
    return this;
  }
  u32(value: number): this {
    this.#at = this.bytes.writeUInt32LE(value, this.#at);
    return this;
  }
  /** A whole number up to 2^53 - 1, in eight bytes. */
  u64(value: number): this {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} does not fit`);
    this.#at = this.bytes.writeBigUInt64LE(BigInt(value), this.#at);
    return this;
  }
  raw(value: Uint8Array): this {
    if (this.#at + value.length > this.bytes.length) throw new RangeError("value does not fit");
    this.bytes.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  /** The buffer, which must now be exactly full. */
  done(): Buffer {
    if (this.#at !== this.bytes.length) throw new RangeError(`${this.bytes.length - this.#at} bytes not set`);
    return this.bytes;
  }
}

/**
 * Reads what `ByteWriter` wrote. Throws a `DamagedObjectError` that names `object` if bytes are missing or
 * left over.
 */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #object: string;
  #at = 0;

  constructor(bytes: Uint8Array, object: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#object = object;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }
  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }
  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }
  u64(): number {
    const value = Number(this.#bytes.readBigUInt64LE(this.#take(8)));
    if (!Number.isSafeInteger(value)) throw this.damaged("a number is out of range");
    return value;
  }
  raw(length: number): Buffer {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }
  /** Bytes that the format reserves: anything but zero is damage. */
  zeros(length: number): void {
    if (this.raw(length).some((byte) => byte !== 0)) throw this.damaged("reserved bytes are not zero");
  }
  end(): void {
    if (this.#at !== this.#bytes.length)
      throw this.damaged(`${this.#bytes.length - this.#at} bytes too many`);
  }
  damaged(detail: string): DamagedObjectError {
    return new DamagedObjectError(this.#object, detail);
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length) throw this.damaged("it is cut short");
    this.#at += length;
    return start;
  }
}
