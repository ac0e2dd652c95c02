import type { Stats } from "node:fs";
import { lstat, mkdir, open, readdir, readFile, readlink, rename, rm } from "node:fs/promises";
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

/** The files of a mounted system, by their paths in it; links are followed within it. */
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
  async find(path: string): Promise<string | undefined> {
    return this.locate(path).catch(ignoreNothing);
  }

  /** Where a path leads to, a link at its end included. Throws `NothingThereError`. */
  async locate(path: string): Promise<string> {
    let wanted = path;
    for (let links = 0; links < MOST_LINKS; links++) {
      const { location } = await pathInside(this.#root, Buffer.from(wanted));
      const found = location.toString();
      const stats = await lstat(found).catch(() => undefined);
      if (!stats?.isSymbolicLink()) return found;
      const target = await readlink(found);
      const inside = dirname(found.slice(this.#root.length));
      wanted = target.startsWith("/") ? target : `${inside}/${target}`;
    }
    throw new NothingThereError();
  }

  /** `undefined` for what does not exist, is no file, or is larger than what an adapter edits. */
  async read(path: string): Promise<SystemFile | undefined> {
    const file = await this.#file(path);
    if (!file || file.stats.size > MOST_READ_BYTES) return undefined;
    return { content: await readFile(file.location), mode: file.stats.mode & 0o7777 };
  }

  /** SHA-256, lower-case hexadecimal; `undefined` for what does not exist or is no file. */
  async hash(path: string): Promise<string | undefined> {
    const file = await this.#file(path);
    return file && this.#hashes.of(file.location);
  }

  async exists(path: string): Promise<boolean> {
    const location = await this.find(path);
    return location !== undefined && (await lstat(location).catch(() => undefined)) !== undefined;
  }

  /** The names in a folder; none if it does not exist. */
  async names(path: string): Promise<string[]> {
    const location = await this.find(path);
    return location ? (await readdir(location).catch(() => [])).sort() : [];
  }

  /** The paths that match a pattern, of anything. */
  async matching(pattern: string): Promise<string[]> {
    let found = [""];
    for (const part of pattern.split("/").slice(1)) {
      if (!part.includes("*")) {
        found = found.map((path) => `${path}/${part}`);
        continue;
      }
      const fits = pathPattern(part);
      const next: string[] = [];
      for (const folder of found)
        for (const name of await this.names(folder || "/"))
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
    const found = await this.find(path);
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
    const found = await pathInside(this.#root, Buffer.from(path)).catch(ignoreNothing);
    if (!found) return;
    const location = found.location.toString();
    await rm(location, { force: true });
    await syncFolder(dirname(location));
  }

  async #file(path: string): Promise<{ location: string; stats: Stats } | undefined> {
    const location = await this.find(path);
    if (location === undefined) return undefined;
    const stats = await lstat(location);
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
    const found = await this.find(path);
    if (found !== undefined) return found;
    const made = join(await this.#folder(dirname(path)), basename(path));
    await mkdir(made, { mode: 0o755 });
    return made;
  }
}

function ignoreNothing(error: unknown): undefined {
  if (!(error instanceof NothingThereError)) throw error;
}
