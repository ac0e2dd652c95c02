import { randomBytes } from "node:crypto";
import { BLOB_OVERHEAD_BYTES } from "#shared/format/blob.ts";
import { ZERO_ID } from "#shared/format/block.ts";
import { SALT_BYTES } from "#shared/format/keys.ts";
import { type BlobRef, type ChildRef, innerHash } from "#shared/format/map-node.ts";
import { encodeInnerNodeOn } from "#shared/format/map-patch.ts";
import { PackBuilder } from "#shared/format/pack.ts";
import type { PackOrigin } from "#shared/format/pack-index.ts";
import { diskHash, FAN_OUT, nodeCount, topLevel } from "#shared/format/tree.ts";
import type { MappedNode } from "../repository/map-reader.ts";

/**
 * A node for the map: new bytes, a node of the previous map that still applies, or zeros (`kept` if the
 * previous map had zeros there, too).
 */
export type NewNode =
  | { kind: "new"; bytes: Buffer; hash: Buffer }
  | { kind: "kept"; ref: ChildRef }
  | { kind: "zero"; kept: boolean };

export interface MapBuilderOptions {
  sizeBytes: number;
  dataKey: Uint8Array;
  origin: PackOrigin;
  packBytes: number;
  /** Stores a finished pack; resolves once it is durable. */
  storePack: (name: Buffer, bytes: Buffer) => Promise<void>;
}

/** A node whose position is known because its pack is durable. */
type Settled = { ref: ChildRef | undefined; kept: boolean };

interface OpenNode {
  previous: MappedNode | undefined;
  children: (Promise<Settled> | undefined)[];
  left: number;
}

/**
 * How many parents may wait for a pack of children; then the pack is closed early, which bounds their memory.
 */
const MAX_WAITING = 32;

/** Builds a disk map from its leaves, in any order, and stores its nodes in map packs. */
export class MapBuilder {
  readonly #options: MapBuilderOptions;
  readonly #top: number;
  readonly #open: Map<number, OpenNode>[];
  readonly #writers: NodeWriter[];
  readonly #closing: Promise<unknown>[][];
  readonly #waiting: number[];
  #root: Promise<Settled> | undefined;

  constructor(options: MapBuilderOptions) {
    this.#options = options;
    this.#top = topLevel(options.sizeBytes);
    this.#open = Array.from({ length: this.#top + 1 }, () => new Map());
    this.#writers = Array.from({ length: this.#top + 1 }, () => new NodeWriter(options));
    this.#closing = Array.from({ length: this.#top + 2 }, () => []);
    this.#waiting = new Array(this.#top + 1).fill(0);
  }

  /**
   * Begins an inner node, before anything under it is added. `previous`, the previous map's node, is kept if
   * all its children are, and patched if few of them change.
   */
  open(level: number, index: number, previous: MappedNode | undefined): void {
    const left = Math.min(FAN_OUT, nodeCount(this.#options.sizeBytes, level - 1) - index * FAN_OUT);
    this.#open[level]?.set(index, { previous, children: new Array(left), left });
  }

  /**
   * Adds a leaf (level 0), or a kept node above with everything under it. Every leaf must be added exactly
   * once, by itself or under such a node.
   */
  async add(level: number, index: number, node: NewNode): Promise<void> {
    const settled = this.#settle(level, index, node);
    // `finish` or the parent reports a failure; an unhandled rejection would also end the process.
    settled.catch(() => undefined);
    if (level === this.#top) {
      this.#root = settled;
      return;
    }
    const parentIndex = Math.floor(index / FAN_OUT);
    const parent = this.#open[level + 1]?.get(parentIndex);
    if (!parent) throw new RangeError(`node ${parentIndex} of level ${level + 1} was not begun`);
    parent.children[index % FAN_OUT] = settled;
    parent.left -= 1;
    if (parent.left > 0) return;
    this.#open[level + 1]?.delete(parentIndex);
    this.#waiting[level] = (this.#waiting[level] ?? 0) + 1;
    const closed = this.#close(level + 1, parentIndex, parent);
    closed.catch(() => undefined);
    this.#closing[level + 1]?.push(closed);
    if ((this.#waiting[level] ?? 0) >= MAX_WAITING) await this.#writers[level]?.flush();
  }

  /**
   * The root node and the disk's content hash. Call it after every leaf was added; resolves once everything
   * is durable.
   */
  async finish(): Promise<{ root: BlobRef | undefined; contentHash: Buffer }> {
    for (let level = 0; level <= this.#top; level++) {
      await this.#writers[level]?.flush();
      // Nodes of the next level are added as those of this level become durable.
      await Promise.all(this.#closing[level + 1] ?? []);
    }
    if (!this.#root) throw new RangeError("leaves are missing");
    const { ref } = await this.#root;
    return { root: ref?.blob, contentHash: diskHash(this.#options.sizeBytes, ref?.hash ?? ZERO_ID) };
  }

  async #settle(level: number, index: number, node: NewNode): Promise<Settled> {
    if (node.kind === "zero") return { ref: undefined, kept: node.kept };
    if (node.kind === "kept") return { ref: node.ref, kept: true };
    const blob = await this.#writers[level]?.add(level, index, node.bytes);
    if (!blob) throw new RangeError(`there is no level ${level}`);
    return { ref: { blob, hash: node.hash }, kept: false };
  }

  async #close(level: number, index: number, node: OpenNode): Promise<void> {
    const settled = await Promise.all(node.children);
    this.#waiting[level - 1] = (this.#waiting[level - 1] ?? 0) - 1;
    const children: (ChildRef | undefined)[] = settled.map((child) => child?.ref);
    while (children.length < FAN_OUT) children.push(undefined);
    const hash = innerHash({ children }, level);
    const unchanged = settled.every((child) => child?.kept);
    if (children.every((child) => !child)) return this.add(level, index, { kind: "zero", kept: unchanged });
    const { previous } = node;
    if (unchanged && previous)
      return this.add(level, index, { kind: "kept", ref: { blob: previous.ref, hash } });
    const { stored } = encodeInnerNodeOn({ level, index, children }, previous?.base);
    await this.add(level, index, { kind: "new", bytes: stored, hash });
  }
}

interface OpenPack {
  builder: PackBuilder;
  salt: Buffer;
  /** Callbacks of the nodes in it, which get its name once it is durable. */
  waiting: ((name: Promise<Buffer>) => void)[];
}

/** Collects the nodes of one level into packs. */
class NodeWriter {
  readonly #options: MapBuilderOptions;
  #open: OpenPack | undefined;

  constructor(options: MapBuilderOptions) {
    this.#options = options;
  }

  /**
   * The node's position. Resolves once its pack is durable, after a later `add` filled it, or `flush` closed
   * it.
   */
  async add(level: number, index: number, bytes: Buffer): Promise<BlobRef> {
    const room = { blobs: 1, bytes: bytes.length + BLOB_OVERHEAD_BYTES, placements: 0 };
    const full = this.#open && !this.#open.builder.hasRoom(room) ? this.flush() : undefined;
    full?.catch(() => undefined);
    this.#open ??= this.#start();
    const { builder, salt, waiting } = this.#open;
    const position = builder.addMapNode(bytes, level, index);
    const name = await new Promise<Buffer>((resolve) => waiting.push(resolve));
    return { pack: { name, salt }, ...position };
  }

  /** Closes the current pack and waits until it is durable. */
  async flush(): Promise<void> {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    const { name, bytes } = open.builder.finish();
    const stored = this.#options.storePack(name, bytes).then(() => name);
    for (const resolve of open.waiting) resolve(stored);
    await stored;
  }

  #start(): OpenPack {
    const salt = randomBytes(SALT_BYTES);
    const { dataKey, origin, packBytes } = this.#options;
    const buffer = Buffer.alloc(packBytes);
    const sealing = { scratch: Buffer.alloc(0) };
    return {
      salt,
      waiting: [],
      builder: new PackBuilder({ kind: "map", dataKey, salt, origin, buffer, sealing }),
    };
  }
}
