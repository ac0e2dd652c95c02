import { randomBytes } from "node:crypto";
import { type FileHandle, link, lstat, open, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { safeFolder } from "#agent/machine/inside-folder.ts";
import { RefusedError } from "./errors.ts";

/**
 * The path of a file to be written, without links. Throws `RefusedError` if its folder does not exist, or if
 * something is there already.
 */
export async function newFilePath(to: string): Promise<string> {
  const path = resolve(to);
  const folder = await safeFolder(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
    throw new RefusedError(`the folder ${dirname(path)} does not exist`, "Make it first, or choose another.");
  });
  const found = join(folder, basename(path));
  if (await exists(found)) throw existsAlready(found);
  return found;
}

/** A file that appears under its name once it is complete, and for its owner only. */
export class NewFile {
  readonly #path: string;
  readonly #partial: string;
  readonly #file: FileHandle;

  private constructor(path: string, partial: string, file: FileHandle) {
    this.#path = path;
    this.#partial = partial;
    this.#file = file;
  }

  static async create(path: string): Promise<NewFile> {
    const partial = join(dirname(path), `.${basename(path)}.partial-${randomBytes(6).toString("hex")}`);
    return new NewFile(path, partial, await open(partial, "wx", 0o600));
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#file.writeFile(bytes);
  }

  /** Throws `RefusedError` if another program has made a file of this name meanwhile. */
  async finish(): Promise<void> {
    await this.#file.sync();
    await link(this.#partial, this.#path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === "EEXIST" ? existsAlready(this.#path) : error;
    });
  }

  /** Closes the file; removes what is not complete. */
  async close(): Promise<void> {
    await this.#file.close();
    await rm(this.#partial, { force: true });
  }
}

function existsAlready(path: string): RefusedError {
  return new RefusedError(`${path} exists already`, "Choose another name, or remove it first.");
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
