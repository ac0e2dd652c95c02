/**
 * For tests: a machine that loses its power in the middle of its n-th change, after which nothing works any
 * more.
 */
import { readFile } from "node:fs/promises";
import type { BootMachine, FileAttributes } from "../../machine/boot-machine.ts";
import type { RootedMachine } from "./fake-machine.ts";

export class PowerLost extends Error {
  override readonly name = "PowerLost";
}

/**
 * What the disk has of the interrupted change: nothing, or the first or the last part. All of it equals
 * nothing of the next one. Atomic changes (renaming, deleting, firmware variables) have no parts: only steps
 * with parts are counted then.
 */
export const CUTS = ["nothing", "first-part", "last-part"] as const;
export type Cut = (typeof CUTS)[number];

const SECTOR_BYTES = 512;

export class InterruptedMachine implements BootMachine {
  readonly #machine: RootedMachine;
  readonly #cut: Cut;
  #stepsLeft: number;

  constructor(machine: RootedMachine, step: number, cut: Cut) {
    this.#machine = machine;
    this.#stepsLeft = step;
    this.#cut = cut;
  }

  isRoot = () => this.#machine.isRoot();
  read = (path: string) => this.#machine.read(path);
  list = (path: string) => this.#machine.list(path);
  resolve = (path: string) => this.#machine.resolve(path);
  run = (command: string, ...args: string[]) => this.#machine.run(command, ...args);
  openDisk = (path: string) => this.#machine.openDisk(path);
  freeBytes = (path: string) => this.#machine.freeBytes(path);
  status = (path: string) => this.#machine.status(path);
  contents = (path: string) => this.#machine.contents(path);
  hash = (path: string) => this.#machine.hash(path);

  create = (path: string, bytes: Uint8Array, mode: number) =>
    this.#step(() => this.#machine.create(path, bytes, mode), {
      firstPart: () => this.#machine.create(path, bytes.subarray(0, bytes.length / 2), mode),
    });

  copy = async (from: string, to: string, mode: number): Promise<void> => {
    const bytes = await readFile(this.#machine.at(from));
    await this.#step(() => this.#machine.copy(from, to, mode), {
      firstPart: () => this.#machine.create(to, bytes.subarray(0, bytes.length / 2), mode),
    });
  };

  overwrite = (path: string, bytes: Uint8Array, offset = 0) => {
    const middle = Math.min(SECTOR_BYTES, bytes.length);
    return this.#step(() => this.#machine.overwrite(path, bytes, offset), {
      firstPart: () => this.#machine.overwrite(path, bytes.subarray(0, middle), offset),
      lastPart: () => this.#machine.overwrite(path, bytes.subarray(middle), offset + middle),
    });
  };

  rename = (from: string, to: string) => this.#step(() => this.#machine.rename(from, to));
  unlink = (path: string) => this.#step(() => this.#machine.unlink(path));
  makeFolder = (path: string, mode: number) => this.#step(() => this.#machine.makeFolder(path, mode));
  setAttributes = (path: string, attributes: FileAttributes) =>
    this.#step(() => this.#machine.setAttributes(path, attributes));
  flush = (paths: readonly string[]) => this.#step(() => this.#machine.flush(paths));
  writeVariable = (path: string, bytes: Uint8Array) =>
    this.#step(() => this.#machine.writeVariable(path, bytes));
  deleteVariable = (path: string) => this.#step(() => this.#machine.deleteVariable(path));

  removeFolder = async (path: string): Promise<boolean> => {
    let gone = false;
    await this.#step(async () => {
      gone = await this.#machine.removeFolder(path);
    });
    return gone;
  };

  async #step(whole: () => Promise<void>, parts: Parts = {}): Promise<void> {
    if (this.#stepsLeft === 0) throw new PowerLost("the machine is off");
    const part = {
      nothing: async () => undefined,
      "first-part": parts.firstPart,
      "last-part": parts.lastPart,
    };
    const cut = part[this.#cut];
    if (!cut || --this.#stepsLeft > 0) return whole();
    await cut();
    throw new PowerLost("the power was cut");
  }
}

interface Parts {
  firstPart?: () => Promise<void>;
  lastPart?: () => Promise<void>;
}
