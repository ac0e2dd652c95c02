import type { FrozenRead } from "../../tracking/tracker.ts";
import { faultOnDevices } from "../volume-fault.ts";
import { readWrittenDevices } from "./kernel-users.ts";
import { isWhole, type SettledVolume } from "./live-copy.ts";
import type { LiveDisk } from "./live-disk.ts";
import { findRawVolumes, type RawVolume } from "./raw-volumes.ts";
import {
  type DeviceTree,
  findHiddenVolumes,
  type HiddenVolume,
  type VolumeToFreeze,
} from "./volumes-to-freeze.ts";
import { isWithin } from "./within.ts";

/** What a freeze does not make whole. */
export interface Unfrozen {
  raw: readonly RawVolume[];
  hidden: readonly HiddenVolume[];
  /** Mount points of file systems that have bytes outside of the disks whose copies have its instant. */
  inPart: ReadonlySet<string>;
  /** What is wrong with a file system, in words, by its mount point. */
  faults: ReadonlyMap<string, string>;
}

/** What of these disks a freeze of `volumes` did not stop, or did not make whole. */
export async function findUnfrozen(
  tree: DeviceTree,
  disks: readonly string[],
  volumes: readonly VolumeToFreeze[],
): Promise<Unfrozen> {
  const all = new Set(disks);
  const inPart = new Set<string>();
  const faults = new Map<string, string>();
  for (const { devices, mountPoint } of volumes) {
    for (const device of devices) if (!(await isWithin(tree, device, all))) inPart.add(mountPoint);
    const fault = await faultOnDevices(tree, devices);
    if (fault !== undefined) faults.set(mountPoint, fault);
  }
  return {
    ...{ inPart, faults },
    raw: await findRawVolumes(tree, disks, await readWrittenDevices()),
    hidden: await findHiddenVolumes(tree, disks, volumes),
  };
}

/** What became of each volume on a disk. */
export function settledVolumes(
  { device, leftOut }: Pick<LiveDisk, "device" | "leftOut">,
  { mounts }: Pick<FrozenRead, "mounts">,
  { volumes, raw, hidden, inPart, faults }: { volumes: readonly VolumeToFreeze[] } & Unfrozen,
): SettledVolume[] {
  const own = volumes.filter(({ disks }) => disks.includes(device));
  const frozen = own.map(({ name, type, mountPoint, isReadOnly }): SettledVolume => {
    const mount = mounts.find(({ path }) => path === mountPoint);
    const { state: frozenState = "not-tried", error } = mount ?? {};
    const state = isReadOnly && frozenState === "unsupported" ? "read-only" : frozenState;
    return {
      ...{ name, type, state: isWhole(state) && inPart.has(mountPoint) ? "in-part" : state },
      ...(state === "failed" && error && { error }),
      ...(faults.has(mountPoint) && { fault: faults.get(mountPoint) }),
    };
  });
  return [
    ...frozen,
    ...raw
      .filter(({ disks }) => disks.includes(device))
      .map(({ name, program }): SettledVolume => ({ name, type: program, state: "raw" })),
    ...hidden
      .filter(({ disks }) => disks.includes(device))
      .map(({ name, type }): SettledVolume => ({ name, type, state: "hidden" })),
    ...leftOut.map((): SettledVolume => ({ name: "swap", type: "swap", state: "left-out" })),
  ];
}
