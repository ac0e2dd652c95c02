import { doubt } from "./doubt.ts";
import type { LvmSection, LvmValue } from "./lvm-text.ts";
import type { LvmPhysicalVolume, LvmPiece, LvmSegment, LvmVolume } from "./lvm-volume.ts";

const SECTOR_BYTES = 512;
/**
 * Any other flag of a group, for example that it is exported or that a cluster shares it, may change which
 * text applies to which machine.
 */
const PLAIN_GROUP = new Set(["RESIZEABLE", "READ", "WRITE"]);
/** Any other flag of a volume means that LVM is working on it, or that it has more than its segments. */
const PLAIN_VOLUME = new Set(["READ", "WRITE", "VISIBLE", "FIXED_MINOR"]);

/**
 * Layouts that take no extents themselves: they consist of other logical volumes, or of none. Flags that LVM
 * must know can follow, as in `cache+METADATA_FORMAT`.
 */
const LAYERED =
  /^(?:raid\d.*|thin|thin-pool|cache|cache-pool|writecache|integrity|vdo|vdo-pool|snapshot|error|zero)(?:\+.*)?$/;

/** What the text of a volume group says about the physical volume with this id. */
export function describeGroup(root: LvmSection, id: string, sizeBytes: number): LvmPhysicalVolume {
  const groups = Object.entries(root).flatMap(([name, value]) => (isSection(value) ? [{ name, value }] : []));
  const [{ name: groupName, value: group } = {}] = groups;
  if (!group || groupName === undefined || groups.length > 1)
    return doubt("its LVM metadata does not name one volume group");
  if (!isPlain(group, PLAIN_GROUP) || group.lock_type !== undefined) {
    doubt("its volume group is exported, shared, or in an unusual state");
  }
  const extentBytes = number(group, "extent_size") * SECTOR_BYTES;
  const physical = section(group, "physical_volumes");
  const own = Object.entries(physical).filter(
    ([, pv]) => isSection(pv) && String(pv.id).replaceAll("-", "") === id,
  );
  const [[ownName, pv] = []] = own;
  if (own.length !== 1 || ownName === undefined || !isSection(pv)) {
    return doubt("its LVM metadata does not name it");
  }
  if (list(pv, "flags").length > 0) doubt("its volume group has been without it");
  const extentsOffset = number(pv, "pe_start") * SECTOR_BYTES;
  const extentsBytes = number(pv, "pe_count") * extentBytes;
  if (extentBytes === 0 || extentsOffset + extentsBytes > sizeBytes) doubt("its LVM extents exceed it");

  const logical = group.logical_volumes === undefined ? {} : section(group, "logical_volumes");
  const internal = namesUsedBySegments(logical);
  const toPiece = (startExtent: number, count: number): LvmPiece => ({
    offset: extentsOffset + startExtent * extentBytes,
    length: count * extentBytes,
  });
  const physicalNames = new Set(Object.keys(physical));
  const volumes = Object.entries(logical).map(([name, lv]) => {
    if (!isSection(lv)) return doubt("its LVM metadata is damaged");
    return describeVolume({ name, lv, ownName, physicalNames, isInternal: internal.has(name), toPiece });
  });
  const state = { uuid: String(group.id), sequence: number(group, "seqno") };
  return { uuid: id, groupName, group: state, extentsOffset, extentsBytes, volumes };
}

/**
 * Logical volumes that other ones consist of: pools, legs of mirrors, snapshots. They hold no file system of
 * their own.
 */
function namesUsedBySegments(logical: LvmSection): Set<string> {
  const names = new Set<string>();
  for (const lv of Object.values(logical)) {
    if (!isSection(lv)) continue;
    for (const segment of Object.values(lv).filter(isSection)) {
      for (const text of textsIn(segment)) names.add(text);
    }
  }
  return names;
}

interface VolumeText {
  name: string;
  lv: LvmSection;
  ownName: string;
  physicalNames: ReadonlySet<string>;
  isInternal: boolean;
  toPiece: (startExtent: number, count: number) => LvmPiece;
}

function describeVolume({ name, lv, ownName, physicalNames, isInternal, toPiece }: VolumeText): LvmVolume {
  const segments = Object.values(lv).filter(isSection);
  if (segments.length !== number(lv, "segment_count")) doubt("its LVM metadata is damaged");
  segments.sort((a, b) => number(a, "start_extent") - number(b, "start_extent"));
  let isLinear = list(lv, "status").includes("VISIBLE") && isPlain(lv, PLAIN_VOLUME);
  let isHere = true;
  let nextExtent = 0;
  const parts: LvmSegment[] = [];
  for (const segment of segments) {
    const count = number(segment, "extent_count");
    isLinear &&= segment.type === "striped" && segment.stripe_count === 1;
    isLinear &&= number(segment, "start_extent") === nextExtent;
    const volumeOffset = toPiece(nextExtent, 0).offset - toPiece(0, 0).offset;
    nextExtent += count;
    const places = placesOf(segment, physicalNames);
    isLinear &&= places.length === 1;
    for (const { volume, startExtent, extents } of places) {
      isHere &&= volume === ownName;
      if (volume === ownName) parts.push({ volumeOffset, ...toPiece(startExtent, extents) });
    }
  }
  const taken = parts.map(({ offset, length }): LvmPiece => ({ offset, length }));
  return {
    ...{ name, uuid: String(lv.id), taken },
    pieces: isLinear && isHere && !isInternal ? taken : undefined,
    segments: isLinear ? parts : undefined,
  };
}

interface SegmentPlace {
  /** A physical volume's name, or that of another logical volume. */
  volume: string;
  startExtent: number;
  extents: number;
}

/**
 * The positions of a segment. Striped segments share their extents among their stripes; a mirror, which
 * `pvmove` creates while it moves, has all of them on each of its legs. Any other segment that names a
 * physical volume is a doubt: how much it takes there is unknown.
 */
function placesOf(segment: LvmSection, physicalNames: ReadonlySet<string>): SegmentPlace[] {
  const count = number(segment, "extent_count");
  const layouts: Record<string, { listed: string; extents: (places: number) => number }> = {
    striped: { listed: "stripes", extents: (places) => count / places },
    mirror: { listed: "mirrors", extents: () => count },
  };
  const layout = typeof segment.type === "string" ? layouts[segment.type] : undefined;
  const listed = layout && segment[layout.listed];
  for (const value of Object.values(segment)) {
    if (value !== listed && textsIn(value).some((text) => physicalNames.has(text))) {
      doubt("it has an LVM layout that is not known here");
    }
  }
  if (!layout)
    return LAYERED.test(String(segment.type)) ? [] : doubt("it has an LVM layout that is not known here");
  const pairs = pairsOf(listed);
  if (layout.listed === "stripes" && pairs.length !== number(segment, "stripe_count")) {
    doubt("its LVM metadata is damaged");
  }
  const extents = layout.extents(pairs.length);
  if (!Number.isInteger(extents)) doubt("its LVM metadata is damaged");
  return pairs.map(([volume, startExtent]) => ({ volume, startExtent, extents }));
}

function textsIn(value: LvmValue): string[] {
  if (typeof value === "string") return [value];
  if (typeof value === "number") return [];
  return Object.values(value).flatMap(textsIn);
}

function pairsOf(value: LvmValue | undefined): [string, number][] {
  if (!Array.isArray(value) || value.length === 0 || value.length % 2 !== 0) {
    return doubt("its LVM metadata is damaged");
  }
  return Array.from({ length: value.length / 2 }, (_, index) => {
    const [name, start] = [value[index * 2], value[index * 2 + 1]];
    if (typeof name !== "string" || typeof start !== "number" || start < 0) {
      return doubt("its LVM metadata is damaged");
    }
    return [name, start];
  });
}

/**
 * Whether all of its flags are in `known`, both those that any LVM may ignore and those that it must know.
 */
function isPlain(value: LvmSection, known: ReadonlySet<string>): boolean {
  return list(value, "status").every((flag) => known.has(String(flag))) && list(value, "flags").length === 0;
}

function list(parent: LvmSection, name: string): (number | string)[] {
  const value = parent[name];
  if (value === undefined) return [];
  return Array.isArray(value) ? value : doubt("its LVM metadata is damaged");
}

function isSection(value: LvmValue | undefined): value is LvmSection {
  return typeof value === "object" && !Array.isArray(value);
}

function section(parent: LvmSection, name: string): LvmSection {
  const value = parent[name];
  return isSection(value) ? value : doubt("its LVM metadata is incomplete");
}

function number(parent: LvmSection, name: string): number {
  const value = parent[name];
  return typeof value === "number" && value >= 0 ? value : doubt("its LVM metadata is incomplete");
}
