import { readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { parseMountInfo, type RootedMount } from "../../machine/mounts.ts";
import { ofProcess, processFolders } from "./processes.ts";

/**
 * The mounts of this machine: those that this process sees, and of devices that it has not mounted, those
 * that other processes see, such as in containers. Each mount point leads there from here, as long as that
 * process runs.
 */
export async function readAllMounts(): Promise<RootedMount[]> {
  const own = parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
  const known = new Set(own.map(({ device }) => device));
  const others: RootedMount[] = [];
  for (const process of await processWithEachView()) {
    const mounts = parseMountInfo((await ofProcess(readFile(join(process, "mountinfo"), "utf8"))) ?? "");
    for (const mount of mounts)
      if (!known.has(mount.device))
        others.push({ ...mount, mountPoint: join(process, "root", mount.mountPoint) });
  }
  return [...own, ...others];
}

/** The folder in /proc of one process for each mount namespace, and root in it, that is not this one's. */
async function processWithEachView(): Promise<string[]> {
  const found = new Map<string, string>();
  const viewOf = async (process: string) =>
    [await ofProcess(readlink(`${process}/ns/mnt`)), await ofProcess(readlink(`${process}/root`))].join(" ");
  const own = await viewOf("/proc/self");
  for (const process of await processFolders()) {
    const view = await viewOf(process);
    if (view !== own && !found.has(view)) found.set(view, process);
  }
  return [...found.values()];
}
