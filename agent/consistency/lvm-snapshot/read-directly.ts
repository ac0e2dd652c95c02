import type { Extent } from "#shared/domain/extents.ts";
import type { DiskReader } from "../../disk/reader.ts";
import { contentMark } from "../content-mark.ts";
import { type DiskLayout, gapsOn } from "./disk-layout.ts";
import type { KernelPartition } from "./partitions.ts";

/** Of each gap between partitions, so much at its beginning and end is compared: tables and boot loaders. */
const EDGE_BYTES = 2 ** 20;

/** The parts of a disk that no snapshot holds: whether they stayed as they were while they were read. */
export class ReadDirectly {
  readonly #reader: DiskReader;
  readonly #partitions: readonly KernelPartition[];
  readonly #marks: readonly string[];
  readonly #edges: readonly Extent[];
  readonly #before: readonly Uint8Array[];

  private constructor(
    reader: DiskReader,
    partitions: readonly KernelPartition[],
    found: { marks: string[]; edges: Extent[]; before: Uint8Array[] },
  ) {
    this.#reader = reader;
    this.#partitions = partitions;
    this.#marks = found.marks;
    this.#edges = found.edges;
    this.#before = found.before;
  }

  /** Begins to watch. */
  static async begin(
    reader: DiskReader,
    layout: DiskLayout,
    partitions: readonly KernelPartition[],
  ): Promise<ReadDirectly> {
    const marks = await Promise.all(partitions.map(({ path }) => contentMark(path)));
    const edges = gapsOn(layout).flatMap(edgesOf);
    return new ReadDirectly(reader, partitions, { marks, edges, before: await readAll(reader, edges) });
  }

  /**
   * What has changed since then, in words. A partition whose device does not count its writes has changed,
   * as far as is known.
   */
  async changed(): Promise<string[]> {
    const marks = await Promise.all(this.#partitions.map(({ path }) => contentMark(path)));
    const written = this.#partitions.filter((_, at) => marks[at] !== this.#marks[at]);
    const after = await readAll(this.#reader, this.#edges);
    const isSame = after.every((bytes, at) => Buffer.compare(bytes, this.#before[at] ?? bytes) === 0);
    return [
      ...written.map(({ number }) => `partition ${number} was written to while it was read`),
      ...(isSame ? [] : ["its partition table or boot loader changed while it was read"]),
    ];
  }
}

function edgesOf({ offset, length }: Extent): Extent[] {
  if (length <= 2 * EDGE_BYTES) return [{ offset, length }];
  return [
    { offset, length: EDGE_BYTES },
    { offset: offset + length - EDGE_BYTES, length: EDGE_BYTES },
  ];
}

async function readAll(reader: DiskReader, extents: readonly Extent[]): Promise<Uint8Array[]> {
  const read: Uint8Array[] = [];
  for (const { offset, length } of extents) read.push(await reader.read(offset, length));
  return read;
}
