import { hash } from "node:crypto";
import {
  type BigIntStats,
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  readSync,
} from "node:fs";
import { pathText } from "#shared/path-text.ts";
import { type LeftOut, MOST_FILE_SYSTEMS, proofText } from "#shared/protocol/proof.ts";
import { mountIdOf } from "../machine/mount-id.ts";
import { inOpenFolder, MOST_PATH_BYTES, openBeneath } from "./beneath.ts";
import { type FileFacts, type OpenedRegular, openRegular, readFileFacts } from "./read-file.ts";
import { Turns } from "./turns.ts";

/** A folder of a mounted file system, with everything in it that is of the same file system. */
export interface Tree {
  /** The file system's UUID. */
  fileSystem: string;
  /** Where it is mounted, each byte as one character. */
  place: string;
  /** Of that mount. */
  mountId: string;
  /** The folder's path within its file system, without slashes at its ends; empty for the top. */
  prefix: string;
  /** The paths below it where something else is mounted: opening one could wait for a network. */
  mounts: ReadonlySet<string>;
  /** Whether its subvolumes are a part of it; else they are only if they are trees of their own. */
  withSubvolumes?: true;
}

export interface HashTask {
  trees: readonly Tree[];
  /**
   * Files that changed at this time or later cannot be compared: nanoseconds since 1970. Absent if nothing
   * else runs on this machine: then none has changed, and hashing need not rest.
   */
  before?: bigint;
  budgetMs: number;
  /** Decides which files are read if there is no time for all of them. */
  seed: string;
}

/** A file of the list. */
export interface HashedFile extends FileFacts {
  /** Within its file system, each byte as one character. */
  path: string;
  /** A folder on its path has changed since the freeze, so another file may have had this path then. */
  mayHaveMoved: boolean;
}

export interface HashCounts {
  found: number;
  foundAll: boolean;
  changed: number;
  unreadable: number;
  leftOut: LeftOut[];
}

/** More are not chosen: their names are in memory, and the list has to fit into one object. */
export const MOST_FILES = 50_000;
/** How many files with several names, and how many folders still to read, are kept in memory. */
const MOST_KNOWN = 1_000_000;
/** Part of the time that looking for files may take, and that one file may. */
const WALK_SHARE = 0.5;
const FILE_SHARE = 0.25;
const BATCH = 256;
const GONE = ["ENOENT", "ENOTDIR", "ELOOP"];

interface OpenTree extends Tree {
  fd: number;
  device: bigint;
}

interface Chosen {
  tree: OpenTree;
  path: string;
  priority: string;
}

/**
 * Hashes regular files that have not changed since `before`, in an order that only `seed` decides, until all
 * are done or the time is over. Where other programs run, it works half of the time at most. A file that
 * changes while it is read is left out. Blocks its thread.
 */
export function hashTrees(
  task: HashTask,
  onFiles: (fileSystem: string, files: HashedFile[]) => void,
): HashCounts {
  const hasher = new TreeHasher(task, onFiles);
  try {
    hasher.run();
    return hasher.counts;
  } finally {
    hasher.close();
  }
}

class TreeHasher {
  readonly counts: HashCounts = { found: 0, foundAll: true, changed: 0, unreadable: 0, leftOut: [] };
  readonly #task: HashTask;
  readonly #onFiles: (fileSystem: string, files: HashedFile[]) => void;
  readonly #turns: Turns;
  readonly #trees: OpenTree[] = [];
  readonly #linked = new Set<string>();
  #chosen: Chosen[] = [];

  constructor(task: HashTask, onFiles: (fileSystem: string, files: HashedFile[]) => void) {
    this.#task = task;
    this.#onFiles = onFiles;
    this.#turns = new Turns(task.budgetMs, { rests: task.before !== undefined });
  }

  run(): void {
    for (const tree of this.#task.trees) this.#open(tree);
    for (const tree of this.#trees) this.#walk(tree);
    this.#choose();
    const batches = new Map<string, HashedFile[]>();
    for (const chosen of this.#chosen) {
      if (this.#turns.isOver(1)) break;
      const file = this.#hash(chosen);
      if (!file) continue;
      const { fileSystem } = chosen.tree;
      const batch = batches.get(fileSystem) ?? [];
      batches.set(fileSystem, batch);
      if (batch.push(file) === BATCH) this.#onFiles(fileSystem, batch.splice(0));
    }
    for (const [fileSystem, batch] of batches) if (batch.length > 0) this.#onFiles(fileSystem, batch);
  }

  close(): void {
    for (const { fd } of this.#trees) closeSync(fd);
  }

  #open(tree: Tree): void {
    let fd: number;
    try {
      fd = openSync(latin1(tree.place), FOLDER | constants.O_NOFOLLOW);
    } catch (error) {
      this.#leaveOut(tree.place, `it cannot be opened (${codeOf(error)})`);
      return;
    }
    this.#trees.push({ ...tree, fd, device: fstatSync(fd, BIGINT).dev });
    if (mountIdOf(fd) === tree.mountId) return;
    this.#trees.pop();
    closeSync(fd);
    this.#leaveOut(tree.place, "something else is mounted over it");
  }

  /** Folders on the way are remembered by their paths, not by open files: there can be many. */
  #walk(tree: OpenTree): void {
    const left: string[] = [""];
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      if (this.#turns.isOver(WALK_SHARE)) {
        this.counts.foundAll = false;
        return;
      }
      try {
        const folders = this.#lookInto(tree, path);
        if (left.length + folders.length > MOST_KNOWN) this.counts.foundAll = false;
        else for (const folder of folders) left.push(folder);
      } catch (error) {
        this.#note(error);
      }
    }
  }

  /** Chooses the files of a folder, and returns its folders. */
  #lookInto(tree: OpenTree, path: string): string[] {
    const folders: string[] = [];
    const fd = path === "" ? tree.fd : openBeneath(tree.fd, latin1(path), FOLDER);
    try {
      const { dev } = fstatSync(fd, BIGINT);
      if (dev !== tree.device && !tree.withSubvolumes) {
        if (!this.#trees.some(({ device }) => device === dev))
          this.#leaveOut(`${tree.place}/${path}`, "it is another subvolume");
        return [];
      }
      const entries = opendirSync(`/proc/self/fd/${fd}`, NAMES_AS_BYTES);
      try {
        for (let entry = entries.readSync(); entry; entry = entries.readSync()) {
          const name = nameOf(entry);
          const inside = path === "" ? name : `${path}/${name}`;
          if (tree.mounts.has(inside)) continue;
          if (tree.prefix.length + inside.length >= MOST_PATH_BYTES) {
            this.counts.foundAll = false;
            continue;
          }
          if (entry.isDirectory()) folders.push(inside);
          else if (entry.isFile())
            this.#find({ tree, device: dev }, inside, lstatSync(inOpenFolder(fd, latin1(name)), BIGINT));
          this.#turns.rest();
        }
      } finally {
        entries.closeSync();
      }
    } finally {
      if (fd !== tree.fd) closeSync(fd);
    }
    return folders;
  }

  /** `device`: of its folder. */
  #find({ tree, device }: { tree: OpenTree; device: bigint }, path: string, stats: BigIntStats): void {
    if (!stats.isFile() || stats.dev !== device) return;
    if (stats.nlink > 1n) {
      const file = `${device} ${stats.ino}`;
      if (this.#linked.has(file)) return;
      if (this.#linked.size === MOST_KNOWN) {
        this.counts.foundAll = false;
        return;
      }
      this.#linked.add(file);
    }
    this.counts.found += 1;
    if (this.#isSince(stats)) {
      this.counts.changed += 1;
      return;
    }
    const priority = hash("sha1", `${this.#task.seed} ${tree.fileSystem} ${tree.prefix} ${path}`);
    this.#chosen.push({ tree, path, priority });
    if (this.#chosen.length >= 2 * MOST_FILES) this.#choose();
  }

  #choose(): void {
    this.#chosen.sort((a, b) => (a.priority < b.priority ? -1 : 1));
    this.#chosen = this.#chosen.slice(0, MOST_FILES);
  }

  #hash({ tree, path }: Chosen): HashedFile | undefined {
    let mayHaveMoved = this.#hasChanged(tree.fd);
    const onFolder = (folder: number) => {
      mayHaveMoved ||= this.#hasChanged(folder);
    };
    try {
      const file = openRegular(tree.fd, latin1(path), { noAccessTime: true, onFolder });
      if (!file) return this.#changed();
      try {
        const facts = this.#facts(tree, path, file);
        const whole = tree.prefix === "" ? path : `${tree.prefix}/${path}`;
        return facts && { path: whole, mayHaveMoved, ...facts };
      } finally {
        closeSync(file.fd);
      }
    } catch (error) {
      this.#note(error);
      return undefined;
    }
  }

  #facts(tree: OpenTree, path: string, file: OpenedRegular): FileFacts | undefined {
    const { ctimeNs, size } = file.stats;
    // Something was mounted over it meanwhile.
    if (mountIdOf(file.fd) !== tree.mountId) return this.#changed();
    if (this.#isSince(file.stats)) return this.#changed();
    if (isSwapSpace(file)) {
      this.#leaveOut(`${tree.place}/${path}`, "it is swap space");
      return undefined;
    }
    const facts = readFileFacts(file, this.#turns.within(FILE_SHARE));
    if (!facts) return undefined;
    const after = fstatSync(file.fd, BIGINT);
    return after.ctimeNs !== ctimeNs || BigInt(facts.sizeBytes) !== size ? this.#changed() : facts;
  }

  /** A folder that was moved has changed; so has one of whose names two were exchanged. */
  #hasChanged(folder: number): boolean {
    return this.#isSince(fstatSync(folder, BIGINT));
  }

  #isSince({ ctimeNs }: BigIntStats): boolean {
    const { before } = this.#task;
    return before !== undefined && ctimeNs >= before;
  }

  #changed(): undefined {
    this.counts.changed += 1;
  }

  #leaveOut(place: string, why: string): void {
    const { leftOut } = this.counts;
    if (leftOut.length < MOST_FILE_SYSTEMS)
      leftOut.push({ place: proofText(pathText(latin1(place.replace(/^\/\//, "/")))), why: proofText(why) });
  }

  /** Counts a file as changed if it was removed or exchanged since it was found, and as unreadable if not. */
  #note(error: unknown): void {
    const code = codeOf(error);
    if (GONE.includes(code)) this.counts.changed += 1;
    else this.counts.unreadable += 1;
  }
}

const FOLDER: number = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK;
const BIGINT = { bigint: true } as const;
/** Its types do not know that names can be bytes. */
const NAMES_AS_BYTES = { encoding: "buffer" as BufferEncoding, bufferSize: 256 };

/** At the end of the first page of swap space, into which the kernel writes without changing a time. */
const SWAP_MARK = Buffer.from("SWAPSPACE2");
const PAGE_BYTES = 4096;

function isSwapSpace({ fd, stats }: OpenedRegular): boolean {
  // `mkswap` makes none that is smaller.
  if (stats.size < 10 * PAGE_BYTES) return false;
  const mark = Buffer.alloc(SWAP_MARK.length);
  readSync(fd, mark, 0, mark.length, PAGE_BYTES - mark.length);
  return mark.equals(SWAP_MARK);
}

/** The code of an error of the kernel. Throws every other error again. */
function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return code;
}

function nameOf(entry: Dirent): string {
  return (entry.name as unknown as Buffer).toString("latin1");
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}
