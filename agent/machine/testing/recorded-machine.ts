/** For tests: a machine built from the output of real ones. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { type CloseableDiskReader, openFileReader } from "../../disk/reader.ts";
import type { Machine, ProgramOutput } from "../machine.ts";

const Text = z.record(z.string(), z.string());
const Recording = z.object({
  commands: Text.default({}),
  files: Text.default({}),
  /** Hexadecimal. */
  binaryFiles: Text.default({}),
  links: Text.default({}),
  /** Image files by the path of the device that they stand for. */
  disks: Text.default({}),
});
type Recording = z.infer<typeof Recording>;

export class RecordedMachine implements Machine {
  readonly #recording: Recording;

  constructor(...recordings: z.input<typeof Recording>[]) {
    const parsed = recordings.map((each) => Recording.parse(each));
    const merge = (part: keyof Recording) => Object.assign({}, ...parsed.map((each) => each[part]));
    this.#recording = {
      commands: merge("commands"),
      files: merge("files"),
      binaryFiles: merge("binaryFiles"),
      links: merge("links"),
      disks: merge("disks"),
    };
  }

  async read(path: string): Promise<Buffer | undefined> {
    const text = this.#recording.files[path];
    if (text !== undefined) return Buffer.from(text);
    const binary = this.#recording.binaryFiles[path];
    return binary === undefined ? undefined : Buffer.from(binary, "hex");
  }

  async list(path: string): Promise<string[]> {
    const { files, binaryFiles, links } = this.#recording;
    const below = [files, binaryFiles, links]
      .flatMap(Object.keys)
      .filter((each) => each.startsWith(`${path}/`));
    return [...new Set(below.map((each) => each.slice(path.length + 1).split("/")[0] ?? ""))].sort();
  }

  async resolve(path: string): Promise<string | undefined> {
    const { files, links } = this.#recording;
    return links[path] ?? (path in files ? path : undefined);
  }

  async run(command: string, ...args: string[]): Promise<ProgramOutput | undefined> {
    const output = this.#recording.commands[[command, ...args].join(" ")];
    return output === undefined ? undefined : { status: 0, output };
  }

  async openDisk(path: string): Promise<CloseableDiskReader> {
    const image = this.#recording.disks[path];
    if (image === undefined) throw new Error("permission denied");
    return openFileReader(image);
  }

  async freeBytes(): Promise<number | undefined> {
    return 1_000_000;
  }
}

/** A Debian 12 guest of QEMU: UEFI, SATA disk, a bond with a VLAN on it, a bridge. */
export const debianUefi: z.input<typeof Recording> = JSON.parse(
  readFileSync(join(import.meta.dirname, "recorded/debian-12-uefi.json"), "utf8"),
);
