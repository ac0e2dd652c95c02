import type { DiskReader } from "../disk/reader.ts";
import type { MarkUsed } from "./mark-used.ts";
import type { Signature } from "./signatures/signature.ts";

/** Everything that the agent knows of one file system. A file of `descriptors/` exports it. */
export interface FileSystem {
  /** In the order in which a volume is searched for them. */
  signatures: readonly Signature[];
  /** The types that volumes are reported as where a signature's `describe` corrects its own. */
  types?: readonly string[];
  /**
   * Marks what the file system uses of a volume; doubts where it cannot tell for certain. Absent where this
   * is not evaluated: the volume is then copied whole.
   */
  markUsed?: (reader: DiskReader, mark: MarkUsed) => Promise<void>;
  /** What the boot environment needs in order to mount and repair it. */
  bootImage?: BootImageParts;
  /** How the boot environment mounts it without writing to it, not even to replay a journal. */
  readOnlyMount?: MountWay;
  /** How it mounts it to write to it. Absent where no system starts from it. */
  writableMount?: MountWay;
  /**
   * How it mounts it to compare its files with those of its original: all of it, with its journal replayed.
   * Absent where a freeze does not bring everything to the disk that was written before.
   */
  provingMount?: MountWay;
  /**
   * GRUB's module for reading it. Only where GRUB knows in which blocks a file is, so that it can write over
   * them.
   */
  grubModule?: string;
}

export interface MountWay {
  /** As `mount -t` takes it. */
  type: string;
  /** Besides `ro` or `rw`. */
  options: readonly string[];
}

export interface BootImageParts {
  /** Kernel modules as `lsmod` names them; the builder adds what they depend on. */
  modules?: readonly string[];
  /** Debian packages, including those with libraries that only these programs use. */
  packages?: readonly string[];
  /** Paths in those packages. */
  programs?: readonly string[];
  /** Other names of these programs: path in the image to the link's target. */
  links?: Readonly<Record<string, string>>;
}

/** The types that volumes with this file system are reported as. */
export function typesOf({ signatures, types }: FileSystem): readonly string[] {
  return types ?? [...new Set(signatures.map(({ type }) => type))];
}
