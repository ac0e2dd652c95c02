import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { runGuestTool } from "../browse/guest/tool.ts";
import type { GuestVolume, VolumeIds } from "../browse/guest/volumes.ts";
import { fileSystemOf } from "../filesystems/file-systems.ts";

/** A volume, as far as mounting it depends on it. */
type Volume = Pick<GuestVolume, "device" | "type"> & Pick<VolumeIds, "uuid" | "memberUuid">;

/** A file system, and where it is mounted, or why it is not. */
export type ProvingMount<V extends Volume> = { uuid: string; volume: V } & (
  | { place: string }
  | { problem: string }
);

/**
 * Mounts the file systems of these volumes for reading, below a folder. Their journals are replayed; where
 * the devices are write-protected, the kernel mounts none whose journal is not empty. Copies that have one
 * UUID cannot be told apart, so none of them is mounted.
 */
export async function mountAll<V extends Volume>(
  volumes: readonly V[],
  folder: string,
): Promise<ProvingMount<V>[]> {
  const mounted: ProvingMount<V>[] = [];
  for (const [uuid, same] of Map.groupBy(volumes, (volume) => volume.uuid?.toLowerCase() ?? "")) {
    const [volume] = same;
    if (uuid === "" || !volume) continue;
    // The parts of one btrfs share its UUID, and any of them mounts it. Of two copies, the kernel takes one.
    const members = new Set(same.map(({ memberUuid, device }) => memberUuid ?? device));
    const isOne = same.length === 1 || (volume.type === "btrfs" && members.size === same.length);
    mounted.push({
      ...{ uuid, volume },
      ...(isOne
        ? await mountOne(same, join(folder, uuid))
        : { problem: `${same.length} volumes have this UUID` }),
    });
  }
  return mounted;
}

async function mountOne<V extends Volume>(
  same: readonly V[],
  folder: string,
): Promise<{ place: string } | { problem: string }> {
  const [{ device = "", type = "" } = {}] = same;
  const mount = fileSystemOf(type)?.provingMount;
  if (!mount) return { problem: `${type || "an unknown file system"} is not compared` };
  await mkdir(folder, { recursive: true });
  const parts = same.length > 1 ? same.map((part) => `device=${join("/dev", part.device)}`) : [];
  const options = ["ro", "nosuid", "nodev", "noexec", ...mount.options, ...parts].join(",");
  const args = ["-t", mount.type, "-o", options, join("/dev", device), folder];
  const { succeeded, complaint } = await runGuestTool("/usr/bin/mount", ...args);
  return succeeded ? { place: folder } : { problem: complaint || "the mount failed" };
}
