import type { GuestDisk } from "../guest.ts";
import type { PassedFiles } from "./passed-files.ts";

/** How QEMU reads an image. It must not open the backing file that an image names. */
export function formatOf({ format }: Pick<GuestDisk, "format">): object {
  return format === "qcow2" ? { driver: format, backing: null } : { driver: format };
}

/**
 * QEMU's nodes for the guest's disk `at`, the one that the guest sees last: an image that stays as it is, and
 * an overlay without a name that gets what the guest writes.
 */
export async function overlayNodes(
  disk: GuestDisk,
  at: number,
  files: PassedFiles,
): Promise<[object, object]> {
  const base = `base${at}`;
  return [
    {
      ...{ ...formatOf(disk), "node-name": base, "read-only": true },
      file: { driver: "file", filename: await files.read(disk.path), "read-only": true },
    },
    {
      ...{ driver: "qcow2", "node-name": `disk${at}`, cache: { "no-flush": true }, backing: base },
      file: { driver: "file", filename: await files.overlay(disk), cache: { "no-flush": true } },
    },
  ];
}
