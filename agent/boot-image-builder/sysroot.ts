import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm } from "node:fs/promises";
import { basename, dirname, join, posix } from "node:path";
import { BootImageBuildError } from "../boot-image/errors.ts";
import { linkRequirements } from "./elf.ts";
import type { PackageCache, PackageVersion } from "./package-cache.ts";
import { runTool } from "./tool.ts";

const LIBRARY_FOLDERS = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"];
const LOADER = "/lib64/ld-linux-x86-64.so.2";
const MOST_LINKS = 16;

/**
 * Unpacked packages: what the image contains and the tools that build it, in the same versions on every build
 * machine.
 */
export class Sysroot {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Unpacks packages below `dir`, once for each set of packages; about ten seconds. */
  static async unpack(
    cache: PackageCache,
    packages: readonly PackageVersion[],
    dir: string,
  ): Promise<Sysroot> {
    const key = createHash("sha256").update(JSON.stringify(packages)).digest("hex").slice(0, 16);
    const target = join(dir, key);
    if (await exists(target)) return new Sysroot(target);
    await mkdir(dir, { recursive: true });
    const partial = await mkdtemp(join(dir, "partial-"));
    try {
      for (const version of packages) {
        await runTool("dpkg-deb", ["-x", cache.pathOf(version), partial], { package: "dpkg" });
      }
      const sysroot = new Sysroot(partial);
      const kernel = await sysroot.kernelRelease();
      await sysroot.run("/bin/kmod", ["-b", partial, kernel], { as: "depmod" });
      await takePlace(partial, target);
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
    return new Sysroot(target);
  }

  /** As `uname -r` prints it. */
  async kernelRelease(): Promise<string> {
    const [release, ...more] = await readdir(join(this.dir, "lib/modules"));
    if (release === undefined || more.length > 0) throw new BootImageBuildError("there must be one kernel");
    return release;
  }

  /** Runs a program from the packages with the libraries from the packages. */
  run(
    program: string,
    args: readonly string[],
    options: { as?: string; cwd?: string; environment?: Record<string, string> } = {},
  ): Promise<string> {
    const { as = basename(program), ...rest } = options;
    const libraries = LIBRARY_FOLDERS.map((folder) => join(this.dir, folder)).join(":");
    // The link to the loader is absolute, so it is resolved within the packages first.
    const loader = join(this.dir, LIBRARY_FOLDERS[0] ?? "", basename(LOADER));
    return runTool(
      loader,
      ["--argv0", as, "--library-path", libraries, join(this.dir, program), ...args],
      rest,
    );
  }

  /** Reads a file by the path it has when installed; follows links within the packages. */
  async read(path: string): Promise<Buffer> {
    return readFile(join(this.dir, await this.#resolve(path)));
  }

  /** Paths of the libraries that programs need, directly or indirectly, and of their loader; sorted. */
  async librariesOf(programs: readonly { name: string; content: Buffer }[]): Promise<string[]> {
    const found = new Set<string>();
    const queue = [...programs];
    for (let program = queue.pop(); program; program = queue.pop()) {
      const requirements = linkRequirements(program.content);
      if (!requirements) throw new BootImageBuildError(`${program.name} is not a program for this processor`);
      if (requirements.interpreter !== undefined) found.add(requirements.interpreter);
      for (const library of requirements.needed) {
        const path = library === basename(LOADER) ? LOADER : await this.#findLibrary(library, program.name);
        if (found.has(path)) continue;
        found.add(path);
        queue.push({ name: library, content: await this.read(path) });
      }
    }
    return [...found].sort();
  }

  async #findLibrary(name: string, neededBy: string): Promise<string> {
    for (const folder of LIBRARY_FOLDERS) {
      const path = posix.join(folder, name);
      if (await exists(join(this.dir, path))) return path;
    }
    throw new BootImageBuildError(`${neededBy} needs ${name}, which is in none of the packages`);
  }

  async #resolve(path: string): Promise<string> {
    let current = path;
    for (let links = 0; links < MOST_LINKS; links++) {
      const target = await readlink(join(this.dir, current)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "EINVAL") return undefined;
        throw error.code === "ENOENT" ? new BootImageBuildError(`${path} is in none of the packages`) : error;
      });
      if (target === undefined) return current;
      current = posix.resolve(dirname(current), target);
    }
    throw new BootImageBuildError(`${path} is a link in a loop`);
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Renames a folder. One that is already at the target stays: a build beside this one made the same. */
export async function takePlace(folder: string, target: string): Promise<void> {
  try {
    await rename(folder, target);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
