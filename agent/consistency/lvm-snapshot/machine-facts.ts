import { readDeviceTree } from "../pre-copy/device-tree.ts";
import { readWrittenDevices } from "../pre-copy/kernel-users.ts";
import { swapDevices } from "../pre-copy/swap-space.ts";
import type { DeviceTree } from "../pre-copy/volumes-to-freeze.ts";
import type { Lvm } from "./lvm.ts";
import type { Facts } from "./survey.ts";

/** File systems that are whole after a freeze. */
const FREEZABLE = new Set(["ext2", "ext3", "ext4", "xfs"]);
/** Those that write their superblock, and nothing else, when they are thawed. */
const MARKING = new Set(["ext3", "ext4"]);

/** What this machine's volumes are now, and what uses them; `undefined` if it has no LVM. */
export async function readFacts(lvm: Lvm): Promise<Facts | undefined> {
  const state = await lvm.look();
  if (!state) return undefined;
  const tree = await readDeviceTree();
  const open = await readWrittenDevices();
  return { state, tree, swaps: await swapDevices(tree), open, ...mountedOf(tree) };
}

function mountedOf({ mounts, superblocks }: DeviceTree): Pick<Facts, "mounted" | "freezable" | "marking"> {
  const all = [
    ...mounts.map(({ device, type }) => ({ device, type })),
    ...superblocks.flatMap(({ type, devices }) => devices.map((device) => ({ device, type }))),
  ];
  const devicesOf = (types: ReadonlySet<string>) =>
    new Set(all.filter(({ type }) => types.has(type)).map(({ device }) => device));
  return {
    mounted: new Set(all.map(({ device }) => device)),
    freezable: devicesOf(FREEZABLE),
    marking: devicesOf(MARKING),
  };
}
