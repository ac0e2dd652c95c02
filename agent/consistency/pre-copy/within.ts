import { type DeviceTree, deviceOfFile, devicesWith } from "./volumes-to-freeze.ts";

/** Ends a search in devices that the kernel describes in a circle. */
const DEEPEST = 16;

/** Whether every byte of a device is in one of these, perhaps through other devices. */
export async function isWithin(
  tree: DeviceTree,
  device: string,
  devices: ReadonlySet<string>,
  left: number = DEEPEST,
): Promise<boolean> {
  if (devices.has(device)) return true;
  const about = left > 0 ? await tree.describe(device) : undefined;
  if (!about) return false;
  const file = about.backingFile === undefined ? undefined : await deviceOfFile(tree, about.backingFile);
  const lower = [
    ...about.parts,
    ...(about.partition ? [about.partition.disk] : []),
    ...(file === undefined ? [] : devicesWith(tree, file)),
  ];
  const within = await Promise.all(lower.map((one) => isWithin(tree, one, devices, left - 1)));
  return within.length > 0 && within.every(Boolean);
}
