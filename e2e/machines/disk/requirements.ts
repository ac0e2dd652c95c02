import { existsSync } from "node:fs";
import { join } from "node:path";

/** The programs that building a disk takes, and the Debian packages that have them. */
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

/** Building a Debian disk is not possible on this machine as it is; the message says what to do. */
export class DiskBuilderUnfitError extends Error {
  override readonly name = "DiskBuilderUnfitError";
}

/**
 * Returns when this machine and user can build a Debian disk; throws `DiskBuilderUnfitError` naming
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
