/** What a structure on a disk begins with, and where it can be. */
export interface Signature {
  /** `blkid`'s name for it, if it has one. */
  type: string;
  /**
   * Where the structure can begin in a volume of this size; the probe ignores positions outside of the
   * volume.
   */
  at: (sizeBytes: number) => readonly number[];
  /** Any of these bytes at `magicAt` of the structure. If absent, only `check` decides. */
  magic?: readonly Buffer[];
  magicAt?: number;
  /**
   * How many bytes of the structure `check` and `describe` read; 512 by default. Zeros stand for those beyond
   * the volume.
   */
  length?: number;
  /** A second test if the magic is short, or if the structure says that it belongs elsewhere. */
  check?: (structure: Buffer, place: Place) => boolean;
  /** Further facts for operators. Can correct the type. */
  describe?: (structure: Buffer) => Partial<Content>;
}

export interface Place {
  offset: number;
  sizeBytes: number;
}

/** The content of a volume. */
export interface Content {
  /** `none` if no known signature was found. */
  type: string;
  uuid?: string;
  label?: string;
}

export const KIB = 1024;
export const MIB = 2 ** 20;
export const GIB = 2 ** 30;
export const SECTOR_BYTES = 512;

/** At these offsets from the beginning of the volume. */
export function start(...offsets: number[]): Signature["at"] {
  return () => offsets;
}

/** At `distance` bytes before the end of the volume, which counts in whole units of `unitBytes`. */
export function end(distance: number, unitBytes = SECTOR_BYTES): Signature["at"] {
  return (sizeBytes) => [Math.floor(sizeBytes / unitBytes) * unitBytes - distance];
}

export function anyOf(...places: Signature["at"][]): Signature["at"] {
  return (sizeBytes) => [...new Set(places.flatMap((at) => at(sizeBytes)))];
}

/** Magic bytes as text, one for each byte of `latin1`. */
export function text(...values: string[]): Buffer[] {
  return values.map((value) => Buffer.from(value, "latin1"));
}

export function hex(...values: string[]): Buffer[] {
  return values.map((value) => Buffer.from(value, "hex"));
}

/** 32-bit numbers in either byte order. */
export function eitherEndian(...values: number[]): Buffer[] {
  return values.flatMap((value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return [bytes, Buffer.from(bytes).reverse()];
  });
}

export function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}
