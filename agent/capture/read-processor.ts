import { randomBytes } from "node:crypto";
import { type Sealing, UNIT_BLOCKS, UNIT_BYTES } from "#shared/format/blob.ts";
import { BLOCK_BYTES, BlockNamer, ID_BYTES, isZero, ZERO_ID } from "#shared/format/block.ts";
import { createCompressor } from "#shared/format/compression.ts";
import { deriveBlockIdKey, SALT_BYTES } from "#shared/format/keys.ts";
import { PackBuilder } from "#shared/format/pack.ts";
import type { PackOrigin, Placement } from "#shared/format/pack-index.ts";
import { GARBAGE_BYTES, GarbageLimit } from "../threads/garbage.ts";
import { KnownBlocks } from "./known-blocks.ts";
import { OUTCOME, READ_BLOCKS, type SharedMemory } from "./shared-memory.ts";

/** One read to process: its bytes and the previous ids are in the slot. */
export interface ReadTask {
  slot: number;
  firstBlock: number;
  blocks: number;
  /** Whether the slot holds the ids that these blocks had in the previous recovery point. */
  hasPrevious: boolean;
}

/** A complete pack that waits in its buffer for its upload. */
export interface FinishedPack {
  number: number;
  buffer: number;
  bytes: number;
  name: Uint8Array;
  salt: Uint8Array;
}

/** A pack with more places than this is closed early, which bounds what waits for its upload. */
const MAX_PLACEMENTS = 8192;

interface OpenPack {
  number: number;
  buffer: number;
  salt: Buffer;
  builder: PackBuilder;
}

/** The work of one thread: tests for zeros, hashes, compresses, seals. Fills its own packs. */
export class ReadProcessor {
  readonly #memory: SharedMemory;
  readonly #known: KnownBlocks;
  readonly #namer: BlockNamer;
  readonly #dataKey: Uint8Array;
  readonly #origin: PackOrigin;
  readonly #onPack: (pack: FinishedPack) => void;
  readonly #sealing: Sealing = { compressor: createCompressor(), scratch: Buffer.alloc(UNIT_BYTES) };
  readonly #garbage = new GarbageLimit(GARBAGE_BYTES);
  #open: OpenPack | undefined;

  constructor(options: {
    memory: SharedMemory;
    dataKey: Uint8Array;
    origin: PackOrigin;
    onPack: (pack: FinishedPack) => void;
  }) {
    this.#memory = options.memory;
    this.#known = new KnownBlocks(options.memory);
    this.#namer = new BlockNamer(deriveBlockIdKey(options.dataKey));
    this.#dataKey = options.dataKey;
    this.#origin = options.origin;
    this.#onPack = options.onPack;
  }

  /** Processes a read and writes each block's outcome into the slot's results. */
  process(task: ReadTask): void {
    const bytes = this.#memory.read(task.slot);
    const previous = this.#memory.previousIds(task.slot);
    // Blocks to store move together at the front of the slot, over blocks that are no longer needed.
    let pending: { block: number; id: Buffer }[] = [];
    let unitStart = 0;
    const storeUnit = () => {
      const end = unitStart + pending.length * BLOCK_BYTES;
      if (pending.length > 0) this.#store(task, bytes.subarray(unitStart, end), pending);
      unitStart = end;
      pending = [];
    };
    for (let block = 0; block < task.blocks; block++) {
      const content = bytes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
      const before = previous.subarray(block * ID_BYTES, (block + 1) * ID_BYTES);
      const id = this.#settle(task, block, content, task.hasPrevious ? before : undefined);
      if (!id) continue;
      const to = unitStart + pending.length * BLOCK_BYTES;
      if (to !== block * BLOCK_BYTES) bytes.copyWithin(to, block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
      pending.push({ block, id });
      if (pending.length === UNIT_BLOCKS) storeUnit();
    }
    storeUnit();
  }

  /** Closes the current pack, if there is one. */
  flush(): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    if (open.builder.isEmpty) {
      this.#memory.releasePackBuffer(open.buffer);
      return;
    }
    const { name, bytes } = open.builder.finish();
    this.#onPack({ number: open.number, buffer: open.buffer, bytes: bytes.length, name, salt: open.salt });
  }

  /** The block's id if it must be stored; otherwise sets its result and returns `undefined`. */
  #settle(task: ReadTask, block: number, content: Buffer, before: Buffer | undefined): Buffer | undefined {
    const place = task.firstBlock + block;
    if (isZero(content)) {
      if (before && !before.equals(ZERO_ID)) this.#packFor(0, 1).addReference({ block: place, id: ZERO_ID });
      this.#memory.setResult(task.slot, block, OUTCOME.zero);
      return undefined;
    }
    const id = this.#namer.idOf(content);
    if (before?.equals(id)) {
      this.#memory.setResult(task.slot, block, OUTCOME.same, id);
      return undefined;
    }
    const known = this.#known.find(id);
    if (!known) return id;
    this.#packFor(0, 1).addReference({ block: place, id });
    this.#memory.setResult(task.slot, block, OUTCOME.stored, id, known);
    return undefined;
  }

  #store(task: ReadTask, bytes: Buffer, blocks: { block: number; id: Buffer }[]): void {
    const placements: Placement[] = blocks.map(({ block, id }) => ({ block: task.firstBlock + block, id }));
    const builder = this.#packFor(bytes.length, blocks.length);
    const pack = this.#open?.number ?? 0;
    const position = builder.addUnit(bytes, placements);
    this.#garbage.add(position.sealedBytes);
    blocks.forEach(({ block, id }, at) => {
      const stored = { pack, ...position, at };
      this.#memory.setResult(task.slot, block, OUTCOME.stored, id, stored);
      this.#known.add(id, stored);
    });
  }

  #packFor(bytes: number, placements: number): PackBuilder {
    const room = { blobs: bytes > 0 ? 1 : 0, bytes, placements };
    const open = this.#open;
    if (open && (!open.builder.hasRoom(room) || open.builder.placements + READ_BLOCKS > MAX_PLACEMENTS))
      this.flush();
    this.#open ??= this.#openPack();
    return this.#open.builder;
  }

  #openPack(): OpenPack {
    const buffer = this.#memory.takePackBuffer();
    const salt = randomBytes(SALT_BYTES);
    const builder = new PackBuilder({
      kind: "data",
      dataKey: this.#dataKey,
      salt,
      origin: this.#origin,
      buffer: this.#memory.pack(buffer),
      sealing: this.#sealing,
    });
    return { number: this.#memory.nextPackNumber(), buffer, salt, builder };
  }
}
