/** What uses block devices without mounting them, as far as the kernel shows it. */
import { type Machine, readText } from "../machine/machine.ts";

/** The most users that an inventory has of a disk. */
export const USERS_LIMIT = 64;

/** File systems that the kernel lists in /sys by the name of their device, as long as they are mounted. */
const LISTED_FILE_SYSTEMS = ["ext4", "xfs", "f2fs"];

/**
 * The users of any of these devices of one disk: what device mapper, md, bcache or DRBD make of it, loop
 * devices, targets that export it to other machines, and file systems that are mounted where this process
 * sees no mount, such as in a container. `mounted`: those of the devices whose mounts it sees. Swap and ZFS
 * are found elsewhere.
 */
export async function findDeviceUsers(
  machine: Machine,
  kernelNames: readonly string[],
  mounted: readonly string[],
): Promise<string[]> {
  const users = new Set<string>();
  for (const name of kernelNames) {
    for (const holder of await machine.list(`/sys/class/block/${name}/holders`)) {
      if (!kernelNames.includes(holder)) users.add(holder);
    }
  }
  // A file system over several devices is mounted from one of them.
  for (const fileSystem of await machine.list("/sys/fs/btrfs")) {
    const members = await machine.list(`/sys/fs/btrfs/${fileSystem}/devices`);
    if (members.some((member) => kernelNames.includes(member))) users.add(`btrfs ${fileSystem}`);
  }
  for (const type of LISTED_FILE_SYSTEMS)
    for (const name of await machine.list(`/sys/fs/${type}`))
      if (kernelNames.includes(name) && !mounted.includes(name)) users.add(`${type} on ${name}`);
  const paths = kernelNames.map((name) => `/dev/${name.replaceAll("!", "/")}`);
  for (const { user, path } of await listBackings(machine)) {
    if (paths.includes((await machine.resolve(path)) ?? path)) users.add(user);
  }
  return [...users].sort().slice(0, USERS_LIMIT);
}

/** Devices and files behind loop devices and targets (LIO, NVMe). */
async function listBackings(machine: Machine): Promise<{ user: string; path: string }[]> {
  const places: { user: string; file: string }[] = [];
  for (const name of await machine.list("/sys/block")) {
    if (/^loop\d+$/.test(name)) places.push({ user: name, file: `/sys/block/${name}/loop/backing_file` });
  }
  const targets = "/sys/kernel/config/target/core";
  for (const adapter of await machine.list(targets)) {
    if (!adapter.startsWith("iblock_")) continue;
    for (const name of await machine.list(`${targets}/${adapter}`)) {
      places.push({ user: `iSCSI target ${name}`, file: `${targets}/${adapter}/${name}/udev_path` });
    }
  }
  const subsystems = "/sys/kernel/config/nvmet/subsystems";
  for (const subsystem of await machine.list(subsystems)) {
    for (const namespace of await machine.list(`${subsystems}/${subsystem}/namespaces`)) {
      const file = `${subsystems}/${subsystem}/namespaces/${namespace}/device_path`;
      places.push({ user: `NVMe target ${subsystem}`, file });
    }
  }
  const backings: { user: string; path: string }[] = [];
  for (const { user, file } of places) {
    const path = await readText(machine, file);
    if (path) backings.push({ user, path });
  }
  return backings;
}
