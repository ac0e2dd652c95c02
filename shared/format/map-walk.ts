/** Follows disk maps from their top nodes to every pack that they name. Reading the nodes is the caller's. */
import { BLOB_KIND, type BlobSealer } from "./blob.ts";
import { oneShotCompressor } from "./compression.ts";
import { DamagedObjectError } from "./errors.ts";
import { type BlobRef, decodeInnerNode, decodeLeaf } from "./map-node.ts";
import { packKey } from "./object-keys.ts";
import { createBlobOpener } from "./pack.ts";
import { fromMapRoot, type Point } from "./point.ts";
import { FAN_OUT, topLevel } from "./tree.ts";

/** A node of a disk map: which one it must be, and where it is stored. */
export interface NodePlace {
  level: number;
  index: number;
  blob: BlobRef;
}

/** What a node names: the nodes below it, and the packs of the disk's blocks. */
export interface NodeReferences {
  nodes: NodePlace[];
  packs: Buffer[];
}

/** The top nodes of a recovery point's disks. A disk of zeros has none. */
export function topNodes({ disks }: Point): NodePlace[] {
  return disks.flatMap(({ sizeBytes, root }) =>
    root ? [{ level: topLevel(sizeBytes), index: 0, blob: fromMapRoot(root) }] : [],
  );
}

/** Opens nodes of one source server's maps. */
export class NodeOpener {
  readonly #source: { sourceId: string; dataKey: Uint8Array };
  #last: { pack: string; sealer: BlobSealer } | undefined;

  constructor(source: { sourceId: string; dataKey: Uint8Array }) {
    this.#source = source;
  }

  /** What the node names, from its sealed bytes. Throws `DamagedObjectError`. */
  open({ level, index, blob }: NodePlace, sealed: Uint8Array): NodeReferences {
    const object = packKey(this.#source.sourceId, blob.pack.name);
    const using = { compressor: oneShotCompressor, output: Buffer.alloc(0) };
    const { kind, bytes } = this.#sealerOf(object, blob).open(sealed, blob, object, using);
    if (kind !== BLOB_KIND.map) throw new DamagedObjectError(object, "a blob is not a map node");
    if (level === 0) {
      const packs = new Set(
        decodeLeaf(bytes, index, object).blocks.flatMap((block) => block?.unit.pack ?? []),
      );
      return { nodes: [], packs: [...packs].map(({ name }) => name) };
    }
    const { children } = decodeInnerNode(bytes, level, index, object);
    const nodes = children.flatMap((child, slot) =>
      child ? [{ level: level - 1, index: index * FAN_OUT + slot, blob: child.blob }] : [],
    );
    return { nodes, packs: [] };
  }

  /** Neighbours are mostly in one pack, so its key is derived once. */
  #sealerOf(object: string, { pack }: BlobRef): BlobSealer {
    if (this.#last?.pack !== object) {
      this.#last = { pack: object, sealer: createBlobOpener(this.#source.dataKey, "map", pack.salt) };
    }
    return this.#last.sealer;
  }
}
