import { hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import * as z from "zod";
import { ByteReader, ByteWriter } from "#shared/format/bytes.ts";

const CaptureIdentitySchema = z.object({
  /** 16 bytes in hex, chosen by the first attempt. */
  captureId: z.string().regex(/^[0-9a-f]{32}$/),
  sourceId: z.string(),
  diskName: z.string(),
  sizeBytes: z.number(),
  /** The previous map's content hash, or null. */
  previous: z.string().nullable(),
  startedAt: z.number(),
  /** Names the content: the disk reads the same in all attempts with this name. */
  view: z.string().max(200),
  /** `tracked`: leaves may contain blocks of the previous map that were not read. */
  basis: z.enum(["scan", "tracked"]),
});

/** Identifies the capture that a journal belongs to; for any other capture the journal starts again. */
export type CaptureIdentity = z.infer<typeof CaptureIdentitySchema>;

/** A finished leaf. Everything it refers to is durable. */
export interface JournalLeaf {
  index: number;
  /** `kept`: the previous map's leaf is used again. */
  kind: "new" | "kept" | "zero";
  /** The whole leaf, encoded; empty unless new. */
  bytes: Buffer;
  usedBlocks: number;
  /** How many blocks have another id than in the previous map. */
  changedBlocks: number;
  badRanges: number;
  badBytes: number;
}

/** Lets an interrupted capture continue: records the leaves that it finished. */
export interface CaptureJournal {
  /**
   * Continues the capture with this identity, or starts it. Returns the identity to continue with. A scan
   * never continues a tracked capture, but a tracked one continues a scan, as a scan.
   */
  open(identity: CaptureIdentity): Promise<CaptureIdentity>;
  /** Whether an earlier attempt finished the leaf. */
  has(index: number): boolean;
  read(index: number): Promise<JournalLeaf>;
  append(leaf: JournalLeaf): Promise<void>;
  close(): Promise<void>;
}

const KINDS = ["new", "kept", "zero"] as const;
const CHECK_BYTES = 8;
const LEAF_HEADER_BYTES = 4 + 1 + 2 + 2 + 2 + 4;

/**
 * A journal in an append-only file. Records have a length and a checksum; a torn one at the end is cut off.
 * It is not synced to disk: after a lost record, that part of the disk is only read again.
 */
export class FileJournal implements CaptureJournal {
  readonly #path: string;
  #file: FileHandle | undefined;
  #end = 0;
  /** The position of each leaf's record. A large disk has a million of them. */
  readonly #leaves = new Map<number, number>();

  constructor(path: string) {
    this.#path = path;
  }

  async open(identity: CaptureIdentity): Promise<CaptureIdentity> {
    await this.close();
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#file = file;
    this.#leaves.clear();
    this.#end = 0;
    const first = await this.#readRecord(0);
    const known = first && identityIn(first.payload);
    if (first && known && isSameCapture(known, identity)) {
      await this.#scan(first.end);
      await file.truncate(this.#end);
      return known;
    }
    await file.truncate(0);
    await this.#write(Buffer.from(JSON.stringify(identity)));
    return identity;
  }

  has(index: number): boolean {
    return this.#leaves.has(index);
  }

  async read(index: number): Promise<JournalLeaf> {
    const at = this.#leaves.get(index);
    const record = at === undefined ? undefined : await this.#readRecord(at);
    if (!record) throw new RangeError(`the journal has no leaf ${index}`);
    return decodeJournalLeaf(record.payload);
  }

  async append(leaf: JournalLeaf): Promise<void> {
    const out = new ByteWriter(LEAF_HEADER_BYTES + leaf.bytes.length);
    out
      .u32(leaf.index)
      .u8(KINDS.indexOf(leaf.kind))
      .u16(leaf.usedBlocks)
      .u16(leaf.changedBlocks)
      .u16(leaf.badRanges)
      .u32(leaf.badBytes);
    const at = this.#end;
    await this.#write(out.raw(leaf.bytes).done());
    this.#leaves.set(leaf.index, at);
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  async #scan(from: number): Promise<void> {
    this.#end = from;
    for (;;) {
      const record = await this.#readRecord(this.#end);
      const index = record && indexIn(record.payload);
      if (!record || index === undefined) return;
      this.#leaves.set(index, this.#end);
      this.#end = record.end;
    }
  }

  /** Appends with one write, at a position reserved first: appends can overlap, and finish in any order. */
  async #write(payload: Buffer): Promise<void> {
    const record = Buffer.concat([Buffer.alloc(4), check(payload), payload]);
    record.writeUInt32LE(payload.length, 0);
    const at = this.#end;
    this.#end += record.length;
    await this.#file?.write(record, 0, record.length, at);
  }

  async #readRecord(at: number): Promise<{ payload: Buffer; end: number } | undefined> {
    const head = await this.#readBytes(at, 4 + CHECK_BYTES);
    if (!head) return undefined;
    const length = head.readUInt32LE(0);
    const payload = length <= MAX_RECORD_BYTES ? await this.#readBytes(at + head.length, length) : undefined;
    if (!payload || !check(payload).equals(head.subarray(4))) return undefined;
    return { payload, end: at + head.length + length };
  }

  async #readBytes(at: number, length: number): Promise<Buffer | undefined> {
    const bytes = Buffer.alloc(length);
    const { bytesRead = 0 } = (await this.#file?.read(bytes, 0, length, at)) ?? {};
    return bytesRead === length ? bytes : undefined;
  }
}

const MAX_RECORD_BYTES = 1024 * 1024;

function check(payload: Buffer): Buffer {
  return hash("sha256", payload, "buffer").subarray(0, CHECK_BYTES);
}

/** `undefined` for a record that is none of ours, though its checksum is right: the capture starts again. */
function identityIn(payload: Buffer): CaptureIdentity | undefined {
  try {
    return CaptureIdentitySchema.safeParse(JSON.parse(payload.toString())).data;
  } catch {
    return undefined;
  }
}

/** `undefined` for what is no record of a leaf: the journal ends before it. */
function indexIn(payload: Buffer): number | undefined {
  if (payload.length < LEAF_HEADER_BYTES || !KINDS[payload.readUInt8(4)]) return undefined;
  return payload.readUInt32LE(0);
}

function decodeJournalLeaf(payload: Buffer): JournalLeaf {
  const input = new ByteReader(payload, "the journal");
  const index = input.u32();
  const kind = KINDS[input.u8()];
  if (!kind) throw input.damaged("a record's kind is unknown");
  const [usedBlocks, changedBlocks] = [input.u16(), input.u16()];
  const [badRanges, badBytes] = [input.u16(), input.u32()];
  return {
    index,
    kind,
    usedBlocks,
    changedBlocks,
    badRanges,
    badBytes,
    bytes: input.raw(payload.length - LEAF_HEADER_BYTES),
  };
}

function isSameCapture(known: CaptureIdentity, wanted: CaptureIdentity): boolean {
  const fields = ["sourceId", "diskName", "sizeBytes", "previous", "view"] as const;
  // A scan follows where the tracked blocks are in doubt, so it may use nothing that relied on them.
  const relied = known.basis === "tracked" && wanted.basis === "scan";
  return !relied && fields.every((field) => known[field] === wanted[field]);
}
