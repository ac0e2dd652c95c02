import { join } from "node:path";
import * as z from "zod";
import { DiskMark, markOf, seenDiskOf } from "#shared/domain/disk-recognition.ts";
import { nameDisks } from "#shared/domain/followed-disks.ts";
import { FolderFileDamagedError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import type { Disk } from "#shared/protocol/inventory.ts";
import { DataFile } from "../identity/identity.ts";

const FILE = "disk-names.json";
/** Of disks that are there, and of those that were last seen before. */
const KEPT_MARKS = 1024;

/**
 * Gives each of this machine's disks the name that it had when the agent first saw it. A kernel can give two
 * disks each other's names at the next start; plans, recovery points and standbys know disks by their names.
 */
export class DiskNames {
  readonly #file: DataFile<DiskMark[]>;
  readonly #path: string;
  readonly #log: Log;
  /** Ends with the last call, so that no two calls change the file at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ dataDir, log }: { dataDir: string; log: Log }) {
    this.#file = new DataFile(dataDir, FILE, z.array(DiskMark).max(KEPT_MARKS));
    this.#path = join(dataDir, FILE);
    this.#log = log;
  }

  /** The disks as the kernel names them, under their own names. Throws `FolderFileDamagedError`. */
  named(disks: readonly Disk[]): Promise<Disk[]> {
    const named = this.#last.then(() => this.#named(disks));
    this.#last = named.catch(() => undefined);
    return named;
  }

  async #named(disks: readonly Disk[]): Promise<Disk[]> {
    const marks = await this.#marks();
    const names = new Map(nameDisks(marks, disks.map(seenDiskOf)).map(({ path, name }) => [path, name]));
    const named = disks.map((disk) => ({ ...disk, name: names.get(disk.path) ?? disk.name }));
    const own = named.map(markOf);
    const gone = marks.filter(({ name }) => !own.some((mark) => mark.name === name));
    const next = z.array(DiskMark).parse([...own, ...gone].slice(0, KEPT_MARKS));
    if (JSON.stringify(next) === JSON.stringify(marks)) return named;
    const moved = disks.flatMap(({ name, path }, at) =>
      named[at]?.name === name ? [] : [`${named[at]?.name} is ${path} now`],
    );
    if (moved.length > 0) this.#log.info("the kernel names disks in another way than before", { moved });
    await this.#file.write(next);
    return named;
  }

  #marks(): Promise<DiskMark[]> {
    return this.#file.read().then(
      (marks) => marks ?? [],
      (error: NodeJS.ErrnoException) => {
        if (error.syscall !== undefined) throw error;
        throw new FolderFileDamagedError(
          this.#path,
          "the names of this machine's disks",
          "Put the file back from a backup. Or compare the disks of `causeway sources` with those of the last recovery points, and move the file away if the kernel's names are the right ones.",
        );
      },
    );
  }
}
