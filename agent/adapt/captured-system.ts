/** The system on cloned disks, as the guest that mounts them sees it. */
import type { SourceDiskIdentity } from "#shared/protocol/wanted-machine.ts";

/** One file, link targets excluded: a link is followed within the system. */
export interface SystemFile {
  content: Buffer;
  /** Permission bits. */
  mode: number;
}

/** A partition, a logical volume, or a whole disk without partitions. */
export interface SystemVolume {
  /** The source's name of its disk; absent for a logical volume. */
  disk?: string | undefined;
  partition?: number | undefined;
  logical?: { group: string; volume: string } | undefined;
  /** As `blkid` names what is in it. */
  type?: string | undefined;
  uuid?: string | undefined;
  partUuid?: string | undefined;
}

/** A kernel that is installed, and what it can drive. */
export interface InstalledKernel {
  version: string;
  /** Names of drivers, with underscores. */
  builtIn: ReadonlySet<string>;
  modules: ReadonlySet<string>;
  /** Absent if it has none. */
  initramfs?: { path: string; modules: ReadonlySet<string> | "unknown" } | undefined;
}

export interface CapturedSystem {
  /** The files that the adapters want to see, by their path. */
  files: ReadonlyMap<string, SystemFile>;
  volumes: readonly SystemVolume[];
  disks: readonly SourceDiskIdentity[];
  kernels: readonly InstalledKernel[];
  /** Units of systemd and scripts in `/etc/init.d`, as units: `ssh.service`. */
  units: ReadonlySet<string>;
  /** Paths of installed programs, as far as an adapter asks for them. */
  programs: ReadonlySet<string>;
}

/** The text of a file, byte by byte: what is not ASCII stays as it is. */
export function textOf({ files }: Pick<CapturedSystem, "files">, path: string): string | undefined {
  return files.get(path)?.content.toString("latin1");
}

/** The files whose path matches a pattern, in the order of their paths. */
export function filesMatching(
  { files }: Pick<CapturedSystem, "files">,
  patterns: readonly string[],
): { path: string; text: string }[] {
  const matches = patterns.map(pathPattern);
  return [...files]
    .filter(([path]) => matches.some((match) => match.test(path)))
    .map(([path, { content }]) => ({ path, text: content.toString("latin1") }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** `*` stands for any characters of one name, except for a leading dot. */
export function pathPattern(pattern: string): RegExp {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^/]*")}$`);
}
