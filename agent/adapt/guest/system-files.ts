import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncFolder } from "#shared/data-folder/sync-folder.ts";
import { NothingThereError, pathInside } from "../../browse/guest/path-inside.ts";
import { FileHashes } from "../../machine/file-hashes.ts";
import { pathPattern, type SystemFile } from "../captured-system.ts";
import type { MountedSystem } from "./mounted-system.ts";

/** As many as Linux follows. */
const MOST_LINKS = 40;
/** Nothing that an adapter edits is larger. */
const MOST_READ_BYTES = 16 * 2 ** 20;

/**
 * The files of a mounted system, by their paths in it; links are followed within it. What is only looked at
 * is read synchronously, see `pathInside`.
 */
export class SystemFiles {
  readonly #root: Buffer;
  readonly #run: MountedSystem["run"];
  readonly #hashes = new FileHashes();

  /** A file is replaced with the system's own `cp`, which `run` runs. */
  constructor({ root, run }: Pick<MountedSystem, "root" | "run">) {
    this.#root = Buffer.from(root);
    this.#run = run;
  }

  /** Where a path leads to, if there is something. */
  find(path: string): string | undefined {
    return orNothing(() => this.locate(path));
  }

  /** Where a path leads to, a link at its end included. Throws `NothingThereError`. */
  locate(path: string): string {
    let wanted = path;
    for (let links = 0; links < MOST_LINKS; links++) {
      const found = pathInside(this.#root, Buffer.from(wanted)).location.toString();
      if (!lstatSync(found, { throwIfNoEntry: false })?.isSymbolicLink()) return found;
      const target = readlinkSync(found);
      const inside = dirname(found.slice(this.#root.length));
      wanted = target.startsWith("/") ? target : `${inside}/${target}`;
    }
    throw new NothingThereError();
  }

  /** `undefined` for what does not exist, is no file, or is larger than what an adapter edits. */
  read(path: string): SystemFile | undefined {
    const file = this.#file(path);
    if (!file || file.stats.size > MOST_READ_BYTES) return undefined;
    return { content: readFileSync(file.location), mode: file.stats.mode & 0o7777 };
  }

  /** SHA-256, lower-case hexadecimal; `undefined` for what does not exist or is no file. */
  async hash(path: string): Promise<string | undefined> {
    const file = this.#file(path);
    return file && this.#hashes.of(file.location);
  }

  exists(path: string): boolean {
    const location = this.find(path);
    return location !== undefined && lstatSync(location, { throwIfNoEntry: false }) !== undefined;
  }

  /** The names in a folder; none if it does not exist. */
  names(path: string): string[] {
    const location = this.find(path);
    if (location === undefined) return [];
    try {
      return readdirSync(location).sort();
    } catch {
      // A file, or a damaged folder, has no names that an adapter could use.
      return [];
    }
  }

  /** The paths that match a pattern, of anything. */
  matching(pattern: string): string[] {
    let found = [""];
    for (const part of pattern.split("/").slice(1)) {
      if (!part.includes("*")) {
        found = found.map((path) => `${path}/${part}`);
        continue;
      }
      const fits = pathPattern(part);
      const next: string[] = [];
      for (const folder of found)
        for (const name of this.names(folder || "/"))
          if (fits.test(name) && !name.startsWith(".")) next.push(`${folder}/${name}`);
      found = next;
    }
    return found;
  }

  /**
   * Writes a file: at any moment it is as it was, or whole. One that exists keeps its owner, its rights and
   * its attributes, and so the label that SELinux knows it by; a new one belongs to root.
   */
  async write(path: string, content: Uint8Array, mode: number): Promise<void> {
    const found = this.find(path);
    const location = found ?? join(await this.#folder(dirname(path)), basename(path));
    const next = join(dirname(location), `.${basename(location)}.causeway`);
    // An interrupted write may have left it.
    await rm(next, { force: true });
    try {
      if (found !== undefined) await this.#copy(found, next);
      const file = await open(next, found === undefined ? "wx" : "r+", mode);
      try {
        await file.truncate(0);
        await file.writeFile(content);
        if (found === undefined) await file.chmod(mode);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(next, location);
    } catch (error) {
      await rm(next, { force: true });
      throw error;
    }
    await syncFolder(dirname(location));
  }

  /** Removes a file, or a link itself. */
  async remove(path: string): Promise<void> {
    const found = orNothing(() => pathInside(this.#root, Buffer.from(path)));
    if (!found) return;
    const location = found.location.toString();
    await rm(location, { force: true });
    await syncFolder(dirname(location));
  }

  #file(path: string): { location: string; stats: Stats } | undefined {
    const location = this.find(path);
    if (location === undefined) return undefined;
    const stats = lstatSync(location);
    return stats.isFile() ? { location, stats } : undefined;
  }

  /** With owner, rights and attributes, which only a program copies. */
  async #copy(from: string, to: string): Promise<void> {
    const inside = (location: string) => location.slice(this.#root.length);
    const { succeeded, complaint } = await this.#run(["cp", "-a", "--", inside(from), inside(to)]);
    if (!succeeded) throw new Error(`${inside(from)} cannot be copied: ${complaint}`);
  }

  /** Where a folder is; made if it does not exist. */
  async #folder(path: string): Promise<string> {
    const found = this.find(path);
    if (found !== undefined) return found;
    const made = join(await this.#folder(dirname(path)), basename(path));
    await mkdir(made, { mode: 0o755 });
    return made;
  }
}

/** `undefined` if there is nothing at the path. */
function orNothing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof NothingThereError) return undefined;
    throw error;
  }
}
