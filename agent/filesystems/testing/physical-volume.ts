/**
 * For tests: LVM's own tools on loop devices, without a device mapper. They write real metadata and activate
 * nothing.
 */
import { tool } from "./test-image.ts";

export type Lvm = (...args: string[]) => string;

/** Runs LVM's tools on images, and makes each a physical volume unless it is one. Requires root. */
export async function inPhysicalVolume<T>(
  images: readonly string[],
  run: (lvm: Lvm, devices: [string, string]) => T | Promise<T>,
): Promise<T> {
  // LVM looks for other signatures at the beginning.
  const devices: string[] = [];
  try {
    for (const image of images) devices.push(tool("losetup", "--find", "--show", image).trim());
    const config = [
      `devices { filter = [${devices.map((device) => `"a|^${device}$|"`).join(", ")}, "r|.*|"] use_devicesfile = 0 }`,
      "global { event_activation = 0 } backup { backup = 0 archive = 0 } activation { udev_sync = 0 udev_rules = 0 }",
    ].join(" ");
    const lvm: Lvm = (...args) =>
      tool("env", "DM_DISABLE_UDEV=1", ...args, "--driverloaded", "n", "--nolocking", "--config", config);
    for (const device of devices) {
      if (tool("head", "-c", "2048", device).includes("LABELONE")) continue;
      tool("dd", "if=/dev/zero", `of=${device}`, "bs=1M", "count=1", "conv=notrunc", "status=none");
      lvm("pvcreate", "-q", device);
    }
    return await run(lvm, devices as [string, string]);
  } finally {
    for (const device of devices) tool("losetup", "--detach", device);
  }
}
