import { type Machine, readText } from "./machine.ts";

export interface Mount {
  /** Major and minor number; `0:N` for file systems without one device, such as btrfs. */
  device: string;
  source: string;
  mountPoint: string;
  type: string;
  /** Whether the whole file system is: of several mount points, one alone can be read-only. */
  isReadOnly: boolean;
  /** Devices that have a part of it besides its source: an external log, a real-time section. */
  furtherSources?: readonly string[];
}

/** As XFS names them in its options. */
const FURTHER_SOURCE = /^(?:logdev|rtdev)=(.+)$/;

/** With what identifies it, and the folder of its file system that is mounted there. */
export interface RootedMount extends Mount {
  id: string;
  root: string;
}

/** A host of thousands of containers has a hundred thousand mounts, each of some hundred bytes. */
const MOST_BYTES = 64 * 2 ** 20;

/** Where block devices are in use on this machine. */
export class Mounts {
  readonly all: readonly Mount[];
  readonly #swaps: readonly string[];
  readonly #elsewhere: readonly Mount[];

  /** `elsewhere`: what only other mount namespaces have, as those of containers. */
  constructor(mounts: readonly Mount[], swaps: readonly string[], elsewhere: readonly Mount[] = []) {
    this.all = mounts;
    this.#swaps = swaps;
    this.#elsewhere = elsewhere;
  }

  static async read(machine: Machine): Promise<Mounts> {
    const mounts = await readMountInfo(machine, "/proc/self/mountinfo");
    const swaps = (await readText(machine, "/proc/swaps")) ?? "";
    const known = new Set(mounts.map(({ device }) => device));
    const elsewhere = (await readOtherNamespaces(machine)).filter(({ device }) => !known.has(device));
    return new Mounts(mounts, parseSwaps(swaps), elsewhere);
  }

  /** The type of the file system on the device with this number, if only other namespaces have it mounted. */
  typeElsewhere(device: string | undefined): string | undefined {
    return this.#elsewhere.find((mount) => mount.device === device)?.type;
  }

  /** Where the device with this number and any of these paths is mounted; `[SWAP]` if it is used for swap. */
  pointsOf(device: string | undefined, paths: readonly string[]): string[] {
    const points = this.all
      .filter(
        ({ device: own, source, furtherSources = [] }) =>
          own === device || [source, ...furtherSources].some((path) => paths.includes(path)),
      )
      .map((mount) => mount.mountPoint);
    if (this.#swaps.some((swap) => paths.includes(swap))) points.push("[SWAP]");
    return [...new Set(points)].slice(0, 64);
  }

  /** The mount that contains this path. */
  holding(path: string): Mount | undefined {
    let best: Mount | undefined;
    for (const mount of this.all) {
      const holds =
        mount.mountPoint === "/" || path === mount.mountPoint || path.startsWith(`${mount.mountPoint}/`);
      // The last one of equals hides the others.
      if (holds && mount.mountPoint.length >= (best?.mountPoint.length ?? 0)) best = mount;
    }
    return best;
  }
}

/** The mounts that processes in other mount namespaces see. */
async function readOtherNamespaces(machine: Machine): Promise<Mount[]> {
  const seen = new Set([await machine.resolve("/proc/self/ns/mnt")]);
  const found: Mount[] = [];
  for (const process of (await machine.list("/proc")).filter((name) => /^\d+$/.test(name))) {
    const namespace = await machine.resolve(`/proc/${process}/ns/mnt`);
    if (seen.has(namespace)) continue;
    seen.add(namespace);
    for (const mount of await readMountInfo(machine, `/proc/${process}/mountinfo`)) found.push(mount);
  }
  return found;
}

/** None if the file cannot be read. Throws if it is too long: a mount that is overlooked is a disk in use. */
async function readMountInfo(machine: Machine, path: string): Promise<RootedMount[]> {
  const bytes = await machine.read(path, MOST_BYTES);
  if (bytes && bytes.length >= MOST_BYTES)
    throw new Error(`${path} has ${MOST_BYTES} bytes or more, so it is not known which disks are in use`);
  return parseMountInfo(bytes?.toString("utf8") ?? "");
}

/**
 * `/proc/self/mountinfo`: fixed fields, optional ones up to a dash, then type, source and the options of the
 * whole file system.
 */
export function parseMountInfo(text: string): RootedMount[] {
  return text.split("\n").flatMap((line) => {
    const [front = "", back = ""] = line.split(" - ");
    const [id = "", , device, root, mountPoint] = front.split(" ");
    const [type, source, options = ""] = back.split(" ");
    if (!device || !root || !mountPoint || !type || !source) return [];
    const all = options.split(",");
    const further = all.flatMap((option) => FURTHER_SOURCE.exec(option)?.[1] ?? []).map(decodeOctal);
    return [
      {
        ...{ device, source: decodeOctal(source), type, isReadOnly: all.includes("ro") },
        ...(further.length > 0 && { furtherSources: further }),
        ...{ id, mountPoint: decodeOctal(mountPoint), root: decodeOctal(root) },
      },
    ];
  });
}

/** `/proc/swaps`: a headline, then one line each. */
export function parseSwaps(text: string): string[] {
  const lines = text.split("\n").slice(1);
  return lines.flatMap((line) => decodeOctal(line.split(/\s/)[0] ?? "") || []);
}

/** Space, tab, newline and backslash are written as octal numbers. */
function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
