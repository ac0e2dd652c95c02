import { BLOB_KIND, type BlobSealer } from "./blob.ts";
import { oneShotCompressor } from "./compression.ts";
import { DamagedObjectError } from "./errors.ts";
import type { BlobRef } from "./map-node.ts";
import { packKey } from "./object-keys.ts";
import { createBlobOpener } from "./pack.ts";

/** Opens the nodes of one source server's maps. */
export class MapBlobOpener {
  readonly #source: { sourceId: string; dataKey: Uint8Array };
  #last: { object: string; sealer: BlobSealer } | undefined;

  constructor(source: { sourceId: string; dataKey: Uint8Array }) {
    this.#source = source;
  }

  /** The key of the object that the blob is in. */
  objectOf({ pack }: BlobRef): string {
    return packKey(this.#source.sourceId, pack.name);
  }

  /** The bytes of the node. Throws `DamagedObjectError`. */
  open(blob: BlobRef, sealed: Uint8Array): Buffer {
    const object = this.objectOf(blob);
    const using = { compressor: oneShotCompressor, output: Buffer.alloc(0) };
    const { kind, bytes } = this.#sealerOf(object, blob).open(sealed, blob, object, using);
    if (kind !== BLOB_KIND.map) throw new DamagedObjectError(object, "a blob is not a map node");
    return bytes;
  }

  /** Neighbours are mostly in one pack, so its key is derived once. */
  #sealerOf(object: string, { pack }: BlobRef): BlobSealer {
    if (this.#last?.object !== object)
      this.#last = { object, sealer: createBlobOpener(this.#source.dataKey, "map", pack.salt) };
    return this.#last.sealer;
  }
}
