import type { DiskReader } from "../disk/reader.ts";
import type { Content, Signature } from "./signatures/signature.ts";
import { SIGNATURES } from "./signatures/signature-table.ts";

/** A structure that was found, and where. */
export interface Candidate extends Content {
  offset: number;
}

const DEFAULT_LENGTH = 512;
/** Nearly all structures are within this distance from either end. */
const END_BYTES = 2 * 2 ** 20;

/**
 * Everything that a volume, disk or partition shows, in the order of the table of signatures. Reads a few MiB
 * at most.
 */
export async function probeCandidates(reader: DiskReader): Promise<Candidate[]> {
  const view = await EndsView.open(reader);
  const found: Candidate[] = [];
  for (const signature of SIGNATURES) {
    for (const offset of signature.at(reader.sizeBytes)) {
      const content = await matchAt(view, signature, offset);
      if (content && !found.some((each) => each.type === content.type && each.offset === offset)) {
        found.push({ ...content, offset });
      }
    }
  }
  return found;
}

/**
 * A volume's content, for messages and the inventory: the first reading of it. A volume that shows nothing is
 * `none`.
 */
export async function probeContent(reader: DiskReader): Promise<Content> {
  return contentOf(await probeCandidates(reader));
}

export function contentOf([first]: readonly Candidate[]): Content {
  if (!first) return { type: "none" };
  const { offset, ...content } = first;
  return content;
}

async function matchAt(view: EndsView, signature: Signature, offset: number): Promise<Content | undefined> {
  const { type, magic, magicAt = 0, length = DEFAULT_LENGTH, check, describe } = signature;
  if (offset < 0 || offset >= view.sizeBytes) return undefined;
  if (magic) {
    const longest = magic.reduce((most, each) => Math.max(most, each.length), 0);
    const start = offset + magicAt;
    const bytes = view.inMemory(start, longest) ?? (await view.read(start, longest));
    if (!magic.some((each) => bytes.subarray(0, each.length).equals(each))) return undefined;
  }
  const structure = await view.read(offset, length);
  if (check && !check(structure, { offset, sizeBytes: view.sizeBytes })) return undefined;
  return { type, ...describe?.(structure) };
}

/**
 * Both ends of a volume in memory; the rest is read on request. Zeros stand for what is beyond the volume.
 */
class EndsView {
  readonly sizeBytes: number;
  readonly #reader: DiskReader;
  readonly #head: Buffer;
  readonly #tail: Buffer;

  private constructor(reader: DiskReader, head: Buffer, tail: Buffer) {
    this.sizeBytes = reader.sizeBytes;
    this.#reader = reader;
    this.#head = head;
    this.#tail = tail;
  }

  static async open(reader: DiskReader): Promise<EndsView> {
    const length = Math.min(END_BYTES, reader.sizeBytes);
    const head = await reader.read(0, length);
    const tail = await reader.read(reader.sizeBytes - length, length);
    return new EndsView(reader, asBuffer(head), asBuffer(tail));
  }

  /** The bytes if all of them are in memory, without a copy. */
  inMemory(offset: number, length: number): Buffer | undefined {
    const end = offset + length;
    if (end <= this.#head.length) return this.#head.subarray(offset, end);
    const tailStart = this.sizeBytes - this.#tail.length;
    if (offset < tailStart || end > this.sizeBytes) return undefined;
    return this.#tail.subarray(offset - tailStart, end - tailStart);
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const count = Math.max(0, Math.min(length, this.sizeBytes - offset));
    if (count === 0) return Buffer.alloc(length);
    const bytes = this.inMemory(offset, count) ?? (await this.#reader.read(offset, count));
    // Padded, so that fields near the end of a tiny volume can be read.
    return count === length ? Buffer.from(bytes) : Buffer.concat([bytes], length);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
