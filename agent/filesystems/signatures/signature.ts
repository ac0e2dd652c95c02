/** What a structure on a disk begins with, and where it may stand. */
export interface Signature {
  /** As `blkid` names it where it knows it. */
  type: string;
  /**
   * Where the structure may begin in a volume of this size; places outside of the volume are left out by the
   * probe.
   */
  at: (sizeBytes: number) => readonly number[];
  /** Any of these bytes at `magicAt` of the structure. None: `check` alone decides. */
  magic?: readonly Buffer[];
  magicAt?: number;
  /**
   * How many bytes of the structure `check` and `describe` look at; 512 where it is not given. Zeros stand
   * for those beyond the volume.
   */
  length?: number;
  /** A second look where the magic is short, or where it tells that the structure belongs elsewhere. */
  check?: (structure: Buffer, place: Place) => boolean;
  /** The rest that an operator wants to know. May correct the type. */
  describe?: (structure: Buffer) => Partial<Content>;
}

export interface Place {
  offset: number;
  sizeBytes: number;
}

/** What a volume holds. */
export interface Content {
  /** `none` where no known signature was found. */
  type: string;
  uuid?: string;
  label?: string;
}

export const KIB = 1024;
export const MIB = 2 ** 20;
export const GIB = 2 ** 30;
export const SECTOR_BYTES = 512;

/** These bytes from the beginning of the volume. */
export function start(...offsets: number[]): Signature["at"] {
  return () => offsets;
}

/** `distance` bytes before the end of the volume, which counts in whole units of `unitBytes`. */
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
