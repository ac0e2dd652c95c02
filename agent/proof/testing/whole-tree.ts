import { closeSync, openSync } from "node:fs";
import { mountIdOf } from "../../machine/mount-id.ts";
import type { Tree } from "../hash-trees.ts";

/** A folder as if it were the top of a mounted file system. */
export function wholeTree(place: string, change: Partial<Tree> = {}): Tree {
  const fd = openSync(place, "r");
  try {
    return { fileSystem: "fs-1", place, mountId: mountIdOf(fd), prefix: "", mounts: new Set(), ...change };
  } finally {
    closeSync(fd);
  }
}
