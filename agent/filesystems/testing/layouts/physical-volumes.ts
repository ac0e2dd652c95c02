import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Extent } from "#shared/domain/extents.ts";
import { MIB, tool } from "../test-image.ts";

const SIZE_BYTES = 48 * MIB;
const EXTENT_BYTES = MIB;

/** A physical volume as LVM's own tools left it, and the positions of its volumes. */
export interface PhysicalVolume {
  name: string;
  sizeBytes: number;
  /** Everything before the first extent: label and metadata areas. */
  head: Buffer;
  /** A second metadata area behind the last extent, if any. */
  tail: Buffer;
  /** In each volume's order, on the physical volume. */
  volumes: Extent[][];
  /** Whether other disks hold every second piece of the volumes' content. */
  isStriped: boolean;
}

interface Group {
  /** Runs an LVM command on the devices of the group, which are not activated. */
  lvm: (...words: string[]) => string;
  /** Creates a volume of this size with `lvcreate`. */
  create: (name: string, sizeMib: number, ...more: string[]) => void;
  first: string;
  second: string;
}

interface History {
  name: string;
  pvcreate?: string[];
  isStriped?: boolean;
  /** What was done with the group. */
  before: (group: Group) => void;
  /** What was begun after the volumes' positions were read; does not move them. */
  after?: (group: Group) => void;
}

const HISTORIES: readonly History[] = [
  {
    name: "two volumes",
    before: ({ create }) => {
      create("root", 24);
      create("data", 12);
    },
  },
  {
    name: "a volume removed before another",
    before: ({ create, lvm }) => {
      create("old", 10);
      create("root", 22);
      lvm("lvremove", "-q", "-y", "group/old");
    },
  },
  {
    name: "a volume extended behind another",
    before: ({ create, lvm }) => {
      create("root", 10);
      create("data", 10);
      lvm("lvextend", "-q", "-L", "+14M", "group/root");
    },
  },
  {
    name: "a volume shortened and another put in its place",
    before: ({ create, lvm }) => {
      create("root", 30);
      lvm("lvreduce", "-q", "-f", "-y", "-L", "9M", "group/root");
      create("data", 25);
    },
  },
  {
    name: "an interrupted pvmove",
    before: ({ create, first }) => {
      create("root", 24, first);
      create("data", 12, first);
    },
    after: ({ lvm, first, second }) => lvm("pvmove", "-n", "root", first, second),
  },
  {
    name: "a metadata area that was set to be ignored",
    before: ({ create, lvm, first }) => {
      create("old", 8, first);
      lvm("pvchange", "--metadataignore", "y", "-y", first);
      create("root", 24, first);
    },
  },
  {
    name: "a metadata area at either end",
    pvcreate: ["--pvmetadatacopies", "2"],
    before: ({ create, first }) => {
      create("root", 24, first);
      create("data", 8, first);
    },
  },
  {
    name: "the metadata is on another disk",
    pvcreate: ["--pvmetadatacopies", "0"],
    before: ({ create, first }) => create("root", 24, first),
  },
  {
    name: "stripes over two disks",
    isStriped: true,
    before: ({ create, first, second }) => create("root", 40, "-i", "2", first, second),
  },
];

/** One physical volume for each history. Requires root for the loop devices, and no device mapper. */
export async function makePhysicalVolumes(folder: string): Promise<PhysicalVolume[]> {
  const made: PhysicalVolume[] = [];
  for (const history of HISTORIES) made.push(await makePhysicalVolume(folder, history));
  return made;
}

async function makePhysicalVolume(folder: string, history: History): Promise<PhysicalVolume> {
  const images = ["pv-first", "pv-second"].map((name) => join(folder, name));
  for (const image of images) {
    await writeFile(image, "");
    await truncate(image, SIZE_BYTES);
  }
  const devices = images.map((image) => tool("losetup", "--find", "--show", image).trim());
  const [first = "", second = ""] = devices;
  let volumes: Extent[][];
  try {
    const lvm = lvmOn(devices);
    const inactive = ["-q", "-an", "-Zn", "-Wn"];
    const create = (name: string, sizeMib: number, ...more: string[]) =>
      void lvm("lvcreate", ...inactive, "-y", "-L", `${sizeMib}M`, "-n", name, ...placed("group", more));
    lvm("pvcreate", "-q", ...(history.pvcreate ?? []), first);
    lvm("pvcreate", "-q", second);
    lvm("vgcreate", "-q", "-s", "1M", "group", first, second);
    history.before({ lvm, create, first, second });
    volumes = volumesOn(lvm, first);
    try {
      history.after?.({ lvm, create, first, second });
    } catch {
      // Commands that need a device mapper fail once their intention is written.
    }
  } finally {
    for (const device of devices) tool("losetup", "--detach", device);
  }
  const image = await readFile(images[0] ?? "");
  return {
    name: `physical volume with ${history.name}`,
    sizeBytes: SIZE_BYTES,
    head: Buffer.from(image.subarray(0, EXTENT_BYTES)),
    tail: Buffer.from(image.subarray(SIZE_BYTES - EXTENT_BYTES)),
    volumes,
    isStriped: history.isStriped ?? false,
  };
}

/** The group's name goes between a new volume's options and the devices for it. */
function placed(group: string, more: string[]): string[] {
  const isDevice = (word: string) => word.startsWith("/dev/");
  return [...more.filter((word) => !isDevice(word)), group, ...more.filter(isDevice)];
}

function lvmOn(devices: string[]): (...words: string[]) => string {
  const allowed = devices.map((device) => `"a|^${device}$|"`).join(", ");
  const config = [
    `devices { filter = [${allowed}, "r|.*|"] use_devicesfile = 0 }`,
    "global { event_activation = 0 } backup { backup = 0 archive = 0 } activation { udev_sync = 0 udev_rules = 0 }",
  ].join(" ");
  return (...words) =>
    tool("env", "DM_DISABLE_UDEV=1", ...words, "--driverloaded", "n", "--nolocking", "--config", config);
}

/**
 * Each volume's extents on this device in order, for all volumes, including those that other volumes consist
 * of.
 */
function volumesOn(lvm: (...words: string[]) => string, device: string): Extent[][] {
  const start = Number(lvm("pvs", "--noheadings", "--units", "b", "--nosuffix", "-o", "pe_start", device));
  const fields = "lv_name,seg_start_pe,seg_pe_ranges";
  const report = lvm("lvs", "--noheadings", "-a", "--segments", "--separator", " ", "-o", fields, "group");
  const volumes = new Map<string, { at: number; piece: Extent }[]>();
  for (const [, name = "", at, first, last] of report.matchAll(
    new RegExp(`^\\s*(\\S+) (\\d+) .*${device}:(\\d+)-(\\d+)`, "gm"),
  )) {
    const length = (Number(last) - Number(first) + 1) * EXTENT_BYTES;
    const piece = { offset: start + Number(first) * EXTENT_BYTES, length };
    volumes.set(name, [...(volumes.get(name) ?? []), { at: Number(at), piece }]);
  }
  return [...volumes.values()].map((segments) =>
    segments.sort((a, b) => a.at - b.at).map(({ piece }) => piece),
  );
}
