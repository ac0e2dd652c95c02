import { DamagedObjectError } from "#shared/format/errors.ts";
import { NodeOpener, type NodePlace } from "#shared/format/map-walk.ts";
import { packKey } from "#shared/format/object-keys.ts";
import type { RepositoryObjects } from "../ports.ts";
import { NameSet } from "./name-set.ts";

/** How many nodes are read at once. A node is a few KiB, at most 1 MiB. */
const NODES_AT_ONCE = 32;

/** A source's data, as the mark reads it. */
export interface MarkedSource {
  sourceId: string;
  dataKey: Uint8Array;
  objects: Pick<RepositoryObjects, "get">;
}

/**
 * The packs that the maps of living points name. It reads each distinct node once, however many points share
 * it, and can stop between any two reads: the nodes left to read are its state. Its memory grows with the
 * number of nodes and packs, by about a hundred bytes for each.
 */
export class Mark {
  /** The packs found until now. */
  readonly named: NameSet;
  readonly #seen: NameSet;
  readonly #left: NodePlace[];

  constructor(state: { named: NameSet; seen: NameSet; left: NodePlace[] }) {
    this.named = state.named;
    this.#seen = state.seen;
    this.#left = state.left;
  }

  static begin(tops: readonly NodePlace[]): Mark {
    const mark = new Mark({ named: new NameSet(32), seen: new NameSet(36), left: [] });
    mark.#add(tops);
    return mark;
  }

  get complete(): boolean {
    return this.#left.length === 0;
  }

  get state(): { named: NameSet; seen: NameSet; left: readonly NodePlace[] } {
    return { named: this.named, seen: this.#seen, left: this.#left };
  }

  /** Reads on until it is complete or `stop` says so. Throws `DamagedObjectError` for a damaged node. */
  async run(source: MarkedSource, stop: () => boolean): Promise<void> {
    const opener = new NodeOpener(source);
    while (!this.complete && !stop()) {
      // The deepest come first, so that few nodes are left to read at any time.
      const places = this.#left.splice(-NODES_AT_ONCE);
      const sealed = await Promise.all(places.map((place) => readNode(source, place)));
      places.forEach((place, at) => {
        const { nodes, packs } = opener.open(place, sealed[at] ?? Buffer.alloc(0));
        for (const name of packs) this.named.add(name);
        this.#add(nodes);
      });
    }
  }

  #add(places: readonly NodePlace[]): void {
    for (const place of places) {
      this.named.add(place.blob.pack.name);
      if (this.#seen.add(nodeName(place))) this.#left.push(place);
    }
  }
}

/** Where it is stored; that decides what it says. */
function nodeName({ blob }: NodePlace): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32LE(blob.number);
  return Buffer.concat([blob.pack.name, number]);
}

async function readNode({ sourceId, objects }: MarkedSource, { blob }: NodePlace): Promise<Buffer> {
  const key = packKey(sourceId, blob.pack.name);
  const bytes = await objects.get(key, { offset: blob.offset, bytes: blob.sealedBytes });
  if (!bytes) throw new DamagedObjectError(key, "it is missing");
  return bytes;
}
