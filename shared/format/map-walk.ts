/** Follows disk maps from their top nodes to every pack that they name. Reading the nodes is the caller's. */
import { MapBlobOpener } from "./map-blob-opener.ts";
import { type BlobRef, decodeInnerNode, decodeLeaf } from "./map-node.ts";
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

/** Finds what nodes of one source server's maps name. */
export class NodeOpener {
  readonly #blobs: MapBlobOpener;

  constructor(source: { sourceId: string; dataKey: Uint8Array }) {
    this.#blobs = new MapBlobOpener(source);
  }

  /** What the node names, from its sealed bytes. Throws `DamagedObjectError`. */
  open({ level, index, blob }: NodePlace, sealed: Uint8Array): NodeReferences {
    const object = this.#blobs.objectOf(blob);
    const bytes = this.#blobs.open(blob, sealed);
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
}
