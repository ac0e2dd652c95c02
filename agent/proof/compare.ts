import { pathText } from "#shared/path-text.ts";
import {
  type ComparedFiles,
  type FileDifference,
  MOST_DIFFERENCES,
  MOST_FILE_SYSTEMS,
  proofText,
} from "#shared/protocol/proof.ts";
import type { HashedFile } from "./hash-trees.ts";
import type { SeenFile } from "./messages.ts";

type Result = Omit<ComparedFiles, "seconds">;

/**
 * Whether it is another file: of a path that led elsewhere at the freeze, the clone has nothing, or what was
 * there then. A number belongs to the same file as long as that is not deleted.
 */
function hasMoved(listed: HashedFile, seen: SeenFile): boolean {
  if (!listed.mayHaveMoved) return false;
  return "problem" in seen ? seen.problem !== "unreadable" : seen.inode !== listed.inode;
}

/** How a listed file differs from what a guest saw; `undefined` if it is equal. */
function differenceOf(listed: HashedFile, seen: SeenFile): FileDifference | undefined {
  if ("problem" in seen) return seen.problem;
  if (seen.sizeBytes !== listed.sizeBytes) return "size";
  if (seen.sha256 !== listed.sha256) return "content";
  if (seen.mode !== listed.mode) return "mode";
  return seen.modified === listed.modified ? undefined : "modified";
}

/** Counts what is compared, and names the first differences. */
export class Comparison {
  readonly result: Result = { equal: 0, bytes: 0, moved: 0, different: 0, differences: [], unopened: [] };

  add(fileSystem: string, listed: HashedFile, seen: SeenFile): void {
    const { result } = this;
    if (hasMoved(listed, seen)) {
      result.moved += 1;
      return;
    }
    const what = differenceOf(listed, seen);
    if (what === undefined) {
      result.equal += 1;
      result.bytes += listed.sizeBytes;
      return;
    }
    result.different += 1;
    if (result.differences.length < MOST_DIFFERENCES)
      result.differences.push({
        fileSystem,
        path: proofText(`/${pathText(Buffer.from(listed.path, "latin1"))}`),
        what,
      });
  }

  /** Files of a file system that the guest could not open. */
  leaveOut(fileSystem: string, files: number, why: string): void {
    const { unopened } = this.result;
    const known = unopened.find((one) => one.fileSystem === fileSystem);
    if (known) known.files += files;
    else if (unopened.length < MOST_FILE_SYSTEMS) unopened.push({ fileSystem, files, why: proofText(why) });
  }
}
