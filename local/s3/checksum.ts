import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Crc32c, Crc64Nvme, type RunningCheck } from "./crc.ts";
import type { Checksum, ChecksumAlgorithm } from "./model.ts";
import { S3Error } from "./s3-error.ts";

const ALGORITHMS = {
  CRC32: { bytes: 4, start: () => new Crc32() },
  CRC32C: { bytes: 4, start: () => new Crc32c() },
  CRC64NVME: { bytes: 8, start: () => new Crc64Nvme() },
  SHA1: { bytes: 20, start: () => hash("sha1") },
  SHA256: { bytes: 32, start: () => hash("sha256") },
  MD5: { bytes: 16, start: () => hash("md5") },
} as const satisfies Record<string, { bytes: number; start: () => RunningCheck }>;
export type DigestAlgorithm = keyof typeof ALGORITHMS;

export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = [
  "CRC32",
  "CRC32C",
  "CRC64NVME",
  "SHA1",
  "SHA256",
];

/** `x-amz-checksum-crc32` and so on. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/**
 * The algorithm with this name in a header. Returns `undefined` if there is no name. Throws `InvalidRequest`
 * for an unknown name.
 */
export function parseAlgorithm(name: string | undefined): ChecksumAlgorithm | undefined {
  if (name === undefined) return undefined;
  const found = CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === name.toUpperCase());
  if (!found) throw new S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.");
  return found;
}

/** The bytes of a base64 digest. Returns `undefined` if it is not a digest of this algorithm. */
export function parseDigest(algorithm: DigestAlgorithm, base64: string): Buffer | undefined {
  const bytes = Buffer.from(base64, "base64");
  const exact = bytes.length === ALGORITHMS[algorithm].bytes && bytes.toString("base64") === base64;
  return exact ? bytes : undefined;
}

/** Several digests in one pass. Each algorithm runs only once, even if it is requested several times. */
export class Digests {
  readonly #running: Map<DigestAlgorithm, RunningCheck>;
  readonly #results = new Map<DigestAlgorithm, Buffer>();

  constructor(algorithms: Iterable<DigestAlgorithm>) {
    this.#running = new Map([...algorithms].map((algorithm) => [algorithm, ALGORITHMS[algorithm].start()]));
  }

  update(bytes: Uint8Array): void {
    for (const check of this.#running.values()) check.update(bytes);
  }

  /** The digest of everything so far. Call it only after the last update. */
  result(algorithm: DigestAlgorithm): Buffer {
    const known = this.#results.get(algorithm);
    if (known) return known;
    const check = this.#running.get(algorithm);
    if (!check) throw new Error(`no ${algorithm} digest was asked for`);
    const result = check.digest();
    this.#results.set(algorithm, result);
    return result;
  }
}

/** The checksum of an object in parts: over the parts' checksums, in order. */
export function compositeChecksum(algorithm: ChecksumAlgorithm, parts: readonly Checksum[]): Checksum {
  const digest = ALGORITHMS[algorithm].start();
  for (const part of parts) digest.update(Buffer.from(part.value, "base64"));
  return { algorithm, value: `${digest.digest().toString("base64")}-${parts.length}`, type: "COMPOSITE" };
}

class Crc32 implements RunningCheck {
  #state = 0;

  update(bytes: Uint8Array): void {
    this.#state = crc32(bytes, this.#state);
  }

  digest(): Buffer {
    const out = Buffer.alloc(4);
    out.writeUInt32BE(this.#state);
    return out;
  }
}

function hash(name: string): RunningCheck {
  const running = createHash(name);
  return { update: (bytes) => void running.update(bytes), digest: () => running.digest() };
}
