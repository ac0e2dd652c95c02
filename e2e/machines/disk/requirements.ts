import { existsSync } from "node:fs";
import { join } from "node:path";

/** The programs that are needed to build a disk, and the Debian packages that contain them. */
const TOOLS: readonly { tool: string; package: string }[] = [
  { tool: "debootstrap", package: "debootstrap" },
  { tool: "sgdisk", package: "gdisk" },
  { tool: "mke2fs", package: "e2fsprogs" },
  { tool: "mformat", package: "mtools" },
  { tool: "tar", package: "tar" },
  { tool: "zstd", package: "zstd" },
  { tool: "unshare", package: "util-linux" },
  { tool: "setpriv", package: "util-linux" },
];

const PROGRAM_FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** This machine cannot build a Debian disk in its present state. The message says what to do. */
export class DiskBuilderUnfitError extends Error {
  override readonly name = "DiskBuilderUnfitError";
}

/**
 * Returns if this machine and user can build a Debian disk. Throws `DiskBuilderUnfitError`, which names
 * everything that is missing.
 */
export function requireDiskBuilder(userId: number, folders: readonly string[] = PROGRAM_FOLDERS): void {
  const missing = TOOLS.filter(({ tool }) => !folders.some((folder) => existsSync(join(folder, tool))));
  const remedies: string[] = [];
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((each) => each.package))].join(" ");
    remedies.push(`install what it takes: apt-get install ${packages}`);
  }
  if (userId !== 0) remedies.push("run it as root: debootstrap creates device nodes and changes root");
  if (remedies.length > 0) {
    throw new DiskBuilderUnfitError(`a Debian disk cannot be built here; ${remedies.join("; ")}`);
  }
}
