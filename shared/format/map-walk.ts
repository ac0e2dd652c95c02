/** Follows disk maps from their top nodes to every pack that they name. Reading the nodes is the caller's. */
import { MapBlobOpener } from "./map-blob-opener.ts";
import { type BlobRef, decodeInnerNode, decodeLeaf } from "./map-node.ts";
import { decodePatch, type NodePatch } from "./map-patch.ts";
import { fromMapRoot, type Point } from "./point.ts";
import { FAN_OUT, topLevel } from "./tree.ts";

/** A node of a disk map: which one it must be, and where it is stored. */
export interface NodePlace {
  level: number;
  index: number;
  blob: BlobRef;
  /** Whether a patch builds on it, so that it must be stored whole. */
  isBase: boolean;
}

/**
 * What a node names: the nodes below it, and the packs of the disk's blocks. A patch names its base and what
 * it changes; what it leaves as it was, and what it replaced, the base names.
 */
export interface NodeReferences {
  nodes: NodePlace[];
  packs: Buffer[];
}

/** The top nodes of a recovery point's disks. A disk of zeros has none. */
export function topNodes({ disks }: Point): NodePlace[] {
  return disks.flatMap(({ sizeBytes, root }) =>
    root ? [{ level: topLevel(sizeBytes), index: 0, blob: fromMapRoot(root), isBase: false }] : [],
  );
}

/** Finds what nodes of one source server's maps name. */
export class NodeOpener {
  readonly #blobs: MapBlobOpener;

  constructor(source: { sourceId: string; dataKey: Uint8Array }) {
    this.#blobs = new MapBlobOpener(source);
  }

  /** What the node names, from its sealed bytes. Throws `DamagedObjectError`. */
  open({ level, index, blob, isBase }: NodePlace, sealed: Uint8Array): NodeReferences {
    const object = this.#blobs.objectOf(blob);
    const bytes = this.#blobs.open(blob, sealed);
    const patch = isBase ? undefined : decodePatch(bytes, level, index, object);
    if (patch) return namedByPatch(patch);
    if (level === 0)
      return {
        nodes: [],
        packs: packsOf(decodeLeaf(bytes, index, object).blocks.map((block) => block?.unit)),
      };
    const { children } = decodeInnerNode(bytes, level, index, object);
    const nodes = children.flatMap((child, slot) =>
      child ? nodeBelow({ level, index }, slot, child.blob) : [],
    );
    return { nodes, packs: [] };
  }
}

function namedByPatch({ level, index, base, slots }: NodePatch): NodeReferences {
  const nodes: NodePlace[] = [{ level, index, blob: base, isBase: true }];
  const changed = [...slots];
  if (level === 0) return { nodes, packs: packsOf(changed.map(([, content]) => content?.blob)) };
  for (const [slot, content] of changed)
    if (content) nodes.push(nodeBelow({ level, index }, slot, content.blob));
  return { nodes, packs: [] };
}

function nodeBelow(
  { level, index }: Pick<NodePlace, "level" | "index">,
  slot: number,
  blob: BlobRef,
): NodePlace {
  return { level: level - 1, index: index * FAN_OUT + slot, blob, isBase: false };
}

function packsOf(units: readonly (BlobRef | undefined)[]): Buffer[] {
  return [...new Set(units.flatMap((unit) => unit?.pack ?? []))].map(({ name }) => name);
}
