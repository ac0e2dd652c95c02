import type { Extent } from "#shared/domain/extents.ts";
import { MIB } from "../test-image.ts";
import { MD_VERSIONS, MEMBERS, writeMdMember } from "./members.ts";
import type { PhysicalVolume } from "./physical-volumes.ts";
import type { Random } from "./random.ts";
import { Region } from "./region.ts";
import {
  type GptMaker,
  type PlannedPartition,
  SECTOR_BYTES,
  writeBootRecordWithin,
  writeEmptyEntry,
  writeMbr,
} from "./tables.ts";
import type { Template } from "./template.ts";

/** What real tools made once, for all layouts. */
export interface Materials {
  fileSystems: readonly Template[];
  physicalVolumes: readonly PhysicalVolume[];
  gpts: GptMaker;
  /** What `make-bcache` writes before the data of a backing device. */
  bcacheHead: Buffer;
}

/** A file system that a copy must hold unharmed. */
export interface LiveFileSystem {
  template: Template;
  region: Region;
}

/** Bytes on the disk that are in use, and by what. */
export interface UsedPart extends Extent {
  by: string;
}

/** What was written last, and so what the machine would use. */
export interface Live {
  /** No byte of it may be lost. */
  used: UsedPart[];
  fileSystems: LiveFileSystem[];
  /** Positions on the disk that its own tables define and that `blkid` can be asked about. */
  places: Extent[];
}

type Kind = "file system" | "member" | "md" | "bcache" | "partitions" | "lvm" | "dynamic disk";

/** What can be written where, and how often. The disk has depth 1, its partitions have depth 2. */
const KINDS: readonly { kind: Kind; leastMib: number; deepest: number; times: number }[] = [
  { kind: "file system", leastMib: 0, deepest: 9, times: 3 },
  { kind: "member", leastMib: 6, deepest: 9, times: 1 },
  { kind: "md", leastMib: 12, deepest: 2, times: 2 },
  { kind: "bcache", leastMib: 12, deepest: 2, times: 1 },
  { kind: "partitions", leastMib: 12, deepest: 1, times: 2 },
  { kind: "partitions", leastMib: 12, deepest: 2, times: 2 },
  { kind: "lvm", leastMib: 49, deepest: 2, times: 1 },
  { kind: "dynamic disk", leastMib: 85, deepest: 1, times: 1 },
];
/** From this size on, a file system's free space has room for other layers. */
const LARGE_BYTES = 40 * MIB;
const MBR_TYPES = ["83", "7", "c", "8e", "82", "fd", "da"];
const GPT_TYPES = ["L", "U", "S", "R", "V", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"];

/** Layers content on a disk at random, and notes each step in `story`. */
export class LayoutWriter {
  readonly story: string[] = [];
  readonly #random: Random;
  readonly #materials: Materials;

  constructor(random: Random, materials: Materials) {
    this.#random = random;
    this.#materials = materials;
  }

  /** Up to two old layers of which remains are left, and then the live one. */
  writeLayers(region: Region, depth: number): Live {
    const random = this.#random;
    const layers = random.pick([0, 1, 1, 2]);
    for (let layer = 0; layer < layers; layer++) {
      const shift = random.pick([0, 0, 0, 8, 63, 2048]) * SECTOR_BYTES;
      const lost = random.pick([0, 0, 0, 1, 2048, 16 * 2048]) * SECTOR_BYTES;
      if (region.sizeBytes - shift - lost < 8 * MIB) continue;
      this.#tell(depth, `once, from ${shift}, without its last ${lost}:`);
      const old = region.within(shift, region.sizeBytes - shift - lost);
      // An old file system is the danger: its free space covers what is written over it.
      if (random.oneIn(2)) this.#fileSystem(old, depth + 1);
      else this.#writeContent(old, depth + 1);
      this.#leaveRemains(region, depth);
    }
    this.#tell(depth, "now:");
    return this.#writeContent(region, depth + 1);
  }

  #tell(depth: number, line: string): void {
    this.story.push(`${"  ".repeat(depth)}${line}`);
  }

  #leaveRemains(region: Region, depth: number): void {
    const random = this.#random;
    const kind = random.pick(["all", "all", "all", "no head", "no tail", "a hole"]);
    const length = random.pick([1, 2, 8, 128, 2048]) * SECTOR_BYTES;
    const middle = random.below(region.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
    if (kind === "no head") region.zero(0, length);
    if (kind === "no tail") region.zero(region.sizeBytes - length, length);
    if (kind === "a hole") region.zero(middle, length);
    this.#tell(depth, `of which remains: ${kind} (${length} at ${middle})`);
  }

  #writeContent(region: Region, depth: number): Live {
    const kinds = KINDS.flatMap(({ kind, leastMib, deepest, times }) =>
      depth <= deepest && region.sizeBytes >= leastMib * MIB ? Array(times).fill(kind) : [],
    ) as Kind[];
    switch (this.#random.pick(kinds)) {
      case "file system":
        return this.#fileSystem(region, depth);
      case "member":
        return this.#member(region, depth);
      case "md":
        return this.#md(region, depth);
      case "bcache":
        return this.#backingDevice(region, depth);
      case "partitions":
        return this.#partitions(region, depth);
      case "lvm":
        return this.#physicalVolume(region, depth);
      case "dynamic disk":
        return this.#dynamicDisk(region, depth);
    }
  }

  #fileSystem(region: Region, depth: number): Live {
    const fitting = this.#materials.fileSystems.filter(({ sizeBytes }) => sizeBytes <= region.sizeBytes);
    if (fitting.length === 0) return this.#nothing(depth);
    const large = fitting.filter(({ sizeBytes }) => sizeBytes >= LARGE_BYTES);
    const template = this.#random.pick(large.length > 0 && this.#random.oneIn(2) ? large : fitting);
    this.#tell(depth, template.name);
    // Their own tools empty the first two sectors; a copy by other means, or a boot loader, may not.
    if (template.checker === "ext" && !this.#random.oneIn(3)) region.zero(0, 2 * SECTOR_BYTES);
    for (const { offset, bytes } of template.parts) region.write(offset, bytes);
    return {
      used: usedBy(
        template.name,
        template.used.flatMap(({ offset, length }) => region.places(offset, length)),
      ),
      fileSystems: [{ template, region: region.within(0, template.sizeBytes) }],
      places: [],
    };
  }

  #nothing(depth: number): Live {
    this.#tell(depth, "nothing");
    return { used: [], fileSystems: [], places: [] };
  }

  /** A kind that our code does not read takes the whole region. */
  #member(region: Region, depth: number): Live {
    const member = this.#random.pick(MEMBERS.filter(({ leastBytes }) => leastBytes <= region.sizeBytes));
    this.#tell(depth, member.type);
    member.write(region);
    return { used: usedBy(member.type, region.pieces), fileSystems: [], places: [] };
  }

  #md(region: Region, depth: number): Live {
    const version = this.#random.pick(MD_VERSIONS);
    const level = this.#random.pick([0, 1, 1, 1] as const);
    const name = `member of an array, metadata ${version}, level ${level}`;
    this.#tell(depth, name);
    const { data, superblock } = writeMdMember(region, version, level);
    const whole = { used: usedBy(name, region.pieces), fileSystems: [], places: [] };
    // Half of a mirror holds the array's content; a part of a stripe set holds nothing by itself.
    if (level === 0) return whole;
    const { used, fileSystems } = this.#writeContent(data, depth + 1);
    return { used: [...usedBy(name, superblock), ...used], fileSystems, places: [] };
  }

  #backingDevice(region: Region, depth: number): Live {
    const { bcacheHead } = this.#materials;
    this.#tell(depth, "backing device of bcache");
    region.write(0, bcacheHead);
    const data = region.within(bcacheHead.length, region.sizeBytes - bcacheHead.length);
    const { used, fileSystems } = this.#writeContent(data, depth + 1);
    const head = usedBy("bcache", region.places(4096, bcacheHead.length - 4096));
    return { used: [...head, ...used], fileSystems, places: [] };
  }

  #partitions(region: Region, depth: number): Live {
    const random = this.#random;
    const label = depth === 1 ? random.pick(["MBR", "MBR", "GPT"] as const) : "MBR";
    const planned = this.#plan(region, label);
    const options = {
      keepsBootCode: random.oneIn(2),
      firstLogical: planned.length > 2 && random.oneIn(2) ? random.pick([1, 2]) : planned.length,
    };
    this.#tell(
      depth,
      `${label}: ${JSON.stringify(planned)} ${label === "MBR" ? JSON.stringify(options) : ""}`,
    );
    const table =
      label === "MBR" ? writeMbr(region, planned, options) : this.#materials.gpts.write(region, planned);
    const live: Live = { used: usedBy(label, table), fileSystems: [], places: [] };
    for (const { start, sectors } of planned) this.#addPartition(live, region, start, sectors, depth);
    if (label === "GPT") return live;
    if (planned.length < 4 && random.oneIn(4)) {
      this.#tell(depth, "and an entry with a type but no size");
      writeEmptyEntry(region);
    }
    if (planned.length === 1 && random.oneIn(3)) this.#addHiddenRecord(live, region, planned, depth);
    return live;
  }

  #addPartition(live: Live, region: Region, start: number, sectors: number, depth: number): void {
    const partition = region.within(start * SECTOR_BYTES, sectors * SECTOR_BYTES);
    this.#tell(depth, `partition at ${start * SECTOR_BYTES}, ${partition.sizeBytes} bytes:`);
    const inner = this.writeLayers(partition, depth);
    live.used.push(...inner.used);
    live.fileSystems.push(...inner.fileSystems);
    if (depth === 1) live.places.push(...partition.pieces);
  }

  /** One to four partitions one after another, with gaps. */
  #plan(region: Region, label: "MBR" | "GPT"): PlannedPartition[] {
    const random = this.#random;
    const end = Math.floor(region.sizeBytes / SECTOR_BYTES) - 2048;
    const types = label === "MBR" ? MBR_TYPES : GPT_TYPES;
    const count = random.pick([1, 1, 2, 3, 4]);
    const planned: PlannedPartition[] = [];
    let next = random.pick(label === "MBR" ? [2048, 2048, 63, 4096, 20_480] : [2048, 64, 4096]);
    for (let index = 0; index < count && end - next > 16_384; index++) {
      const left = end - next;
      const isLast = index === count - 1 && !random.oneIn(3);
      const sectors = Math.min(left, isLast ? left : Math.max(14_336, random.below(left)));
      planned.push({ start: next, sectors, type: random.pick(types) });
      next += sectors + random.pick([2048, 2048, 4096]);
    }
    return planned;
  }

  /** A boot record in the free space of the only primary partition, and a logical partition behind it. */
  #addHiddenRecord(live: Live, region: Region, planned: PlannedPartition[], depth: number): void {
    const [primary] = planned;
    const end = Math.floor(region.sizeBytes / SECTOR_BYTES);
    if (!primary || region.pieces.length !== 1) return;
    const start = primary.start + primary.sectors + 64;
    const record = primary.start + primary.sectors - 64;
    const [place] = region.places(record * SECTOR_BYTES, SECTOR_BYTES);
    if (end - start < 13_000 || !place || live.used.some((each) => touches(each, place))) return;
    this.#tell(
      depth,
      `and a boot record inside of it, at ${record * SECTOR_BYTES}, with a logical partition:`,
    );
    const bootRecord = writeBootRecordWithin(region, record, { start, sectors: end - start });
    live.used.push(...usedBy("boot record within a partition", bootRecord));
    this.#addPartition(live, region, start, end - start, depth);
  }

  #physicalVolume(region: Region, depth: number): Live {
    const random = this.#random;
    const volume = random.pick(this.#materials.physicalVolumes);
    this.#tell(depth, volume.name);
    region.write(0, volume.head);
    if (volume.tail.some((byte) => byte !== 0)) {
      region.write(volume.sizeBytes - volume.tail.length, volume.tail);
    }
    const head = usedBy(volume.name, region.places(0, volume.head.length));
    const live: Live = { used: head, fileSystems: [], places: [] };
    for (const pieces of volume.volumes) {
      const places = pieces.flatMap(({ offset, length }) => region.places(offset, length));
      if (volume.isStriped) {
        live.used.push(...usedBy(volume.name, places));
      } else {
        const inner = this.writeLayers(new Region(region.disk, places), depth);
        live.used.push(...inner.used);
        live.fileSystems.push(...inner.fileSystems);
      }
    }
    return live;
  }

  /** A Windows dynamic disk: a volume in two pieces, and another between them. */
  #dynamicDisk(region: Region, depth: number): Live {
    const sectors = Math.floor(region.sizeBytes / SECTOR_BYTES) - 2048;
    const label = this.#random.pick(["MBR", "GPT"] as const);
    const type = label === "MBR" ? "42" : "AF9B60A0-1431-4F62-BC68-3311714A69AD";
    const planned = [{ start: 2048, sectors: sectors - 2048, type }];
    const table =
      label === "MBR" ? writeMbr(region, planned, {}) : this.#materials.gpts.write(region, planned);
    this.#tell(depth, `dynamic disk (${label}): a volume in two pieces, and between them`);
    const data = region.within(MIB, region.sizeBytes - 2 * MIB);
    const start = this.#random.pick([10, 20, 30]) * MIB;
    const middle = 15 * MIB;
    const outer = new Region(region.disk, [
      ...data.places(0, start),
      ...data.places(start + middle, data.sizeBytes - start - middle),
    ]);
    const ntfs = this.#materials.fileSystems.filter(
      ({ name, sizeBytes }) => name.startsWith("ntfs") && sizeBytes <= outer.sizeBytes,
    );
    const live: Live = { used: usedBy(`dynamic disk (${label})`, table), fileSystems: [], places: [] };
    for (const [place, templates] of [
      [outer, ntfs],
      [data.within(start, middle), ntfs.filter(({ sizeBytes }) => sizeBytes <= middle)],
    ] as const) {
      const template = this.#random.pick(templates);
      this.#tell(depth, `  ${template.name}`);
      for (const { offset, bytes } of template.parts) place.write(offset, bytes);
      const used = template.used.flatMap(({ offset, length }) => place.places(offset, length));
      live.used.push(...usedBy(`${template.name} on a dynamic disk (${label})`, used));
      live.fileSystems.push({ template, region: place.within(0, template.sizeBytes) });
    }
    return live;
  }
}

function usedBy(by: string, extents: readonly Extent[]): UsedPart[] {
  return extents.map((extent) => ({ ...extent, by }));
}

function touches(a: Extent, b: Extent): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}
