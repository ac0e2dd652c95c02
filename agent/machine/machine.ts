import { execFile } from "node:child_process";
import { open, readdir, readlink, realpath, statfs } from "node:fs/promises";
import { join } from "node:path";
import { type CloseableDiskReader, openFileReader } from "../disk/reader.ts";
import { withTimeLimit } from "./time-limit.ts";

/**
 * What the inventory reads from the machine it runs on. Nothing here changes anything, and nothing throws
 * because something is absent.
 */
export interface Machine {
  /** The start of a file, at most a mebibyte by default; `undefined` if it cannot be read. */
  read(path: string, mostBytes?: number): Promise<Buffer | undefined>;
  /** The names in a folder, sorted; none if it cannot be read. */
  list(path: string): Promise<string[]>;
  /** Where a link finally leads. */
  resolve(path: string): Promise<string | undefined>;
  /** What a program printed and how it ended; `undefined` if it is not installed. */
  run(command: string, ...args: string[]): Promise<ProgramOutput | undefined>;
  /** Opens a file or block device; throws if it cannot be opened. */
  openDisk(path: string): Promise<CloseableDiskReader>;
  freeBytes(path: string): Promise<number | undefined>;
}

export interface ProgramOutput {
  /** `undefined` if it was killed because it took too long. */
  status: number | undefined;
  output: string;
}

const READ_LIMIT_BYTES = 2 ** 20;
/** Holds almost every file that describes a machine. */
const FIRST_READ_BYTES = 4096;
/** A disk that does not answer also blocks reads of files, file systems and tools that look at it. */
export const ANSWER_LIMIT_MS = 20_000;
const OUTPUT_LIMIT_BYTES = 16 * 2 ** 20;
/** A service's search path often lacks the system directories. */
const SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The machine that this process runs on. */
export class LocalMachine implements Machine {
  readonly #answerLimitMs: number;

  constructor({ answerLimitMs = ANSWER_LIMIT_MS }: { answerLimitMs?: number } = {}) {
    this.#answerLimitMs = answerLimitMs;
  }

  read(path: string, mostBytes: number = READ_LIMIT_BYTES): Promise<Buffer | undefined> {
    return withTimeLimit(readStart(path, mostBytes), this.#answerLimitMs, () => undefined);
  }

  list(path: string): Promise<string[]> {
    const names = readdir(path).then(
      (found) => found.sort(),
      () => [],
    );
    return withTimeLimit(names, this.#answerLimitMs, () => []);
  }

  resolve(path: string): Promise<string | undefined> {
    const end = realpath(path).catch(() => readlink(path).catch(() => undefined));
    return withTimeLimit(end, this.#answerLimitMs, () => undefined);
  }

  run(command: string, ...args: string[]): Promise<ProgramOutput | undefined> {
    const options = {
      timeout: this.#answerLimitMs,
      maxBuffer: OUTPUT_LIMIT_BYTES,
      killSignal: "SIGKILL",
      // Set here and not with `env`: in the boot environment that is busybox, which runs its own reduced `ip`
      // instead of the one on the path.
      env: { LC_ALL: "C", PATH: SEARCH_PATH },
    } as const;
    const { promise, resolve } = Promise.withResolvers<ProgramOutput | undefined>();
    execFile(command, args, options, (error, output) => {
      const status = error ? error.code : 0;
      if (status === "ENOENT") resolve(undefined);
      else resolve({ status: typeof status === "number" ? status : undefined, output });
    });
    // A process that waits for a disk cannot even be killed.
    return withTimeLimit(promise, this.#answerLimitMs + 1000, () => ({ status: undefined, output: "" }));
  }

  openDisk(path: string): Promise<CloseableDiskReader> {
    return openFileReader(path);
  }

  freeBytes(path: string): Promise<number | undefined> {
    const free = statfs(path).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => undefined,
    );
    return withTimeLimit(free, this.#answerLimitMs, () => undefined);
  }
}

/** Runs a program that must succeed; otherwise throws an error with what it printed. */
export async function runOrThrow(
  machine: Pick<Machine, "run">,
  command: string,
  ...args: string[]
): Promise<void> {
  const result = await machine.run(command, ...args);
  if (result?.status !== 0)
    throw new Error(
      `${[command, ...args].join(" ")} failed: ${result?.output.trim() ?? "it is not installed"}`,
    );
}

async function readStart(path: string, mostBytes: number): Promise<Buffer | undefined> {
  try {
    const file = await open(path, "r");
    try {
      // Files of the kernel claim to be empty; only a read shows their content.
      let bytes = Buffer.alloc(FIRST_READ_BYTES);
      let length = 0;
      for (;;) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length, null);
        length += bytesRead;
        if (bytesRead === 0 || length === mostBytes) return bytes.subarray(0, length);
        if (length === bytes.length) bytes = Buffer.concat([bytes], Math.min(4 * length, mostBytes));
      }
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

/** A file's text without surrounding space; `undefined` if it cannot be read or is empty. */
export async function readText(machine: Machine, path: string): Promise<string | undefined> {
  return (await machine.read(path))?.toString("utf8").replace(/\0+$/, "").trim() || undefined;
}

export async function readNumber(machine: Machine, path: string): Promise<number | undefined> {
  const text = await readText(machine, path);
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** The files of a folder by name, with their text. */
export async function readFolder(
  machine: Machine,
  folder: string,
): Promise<{ path: string; text: string }[]> {
  const files: { path: string; text: string }[] = [];
  for (const name of await machine.list(folder)) {
    const path = join(folder, name);
    const text = await readText(machine, path);
    if (text !== undefined) files.push({ path, text });
  }
  return files;
}

/** The part of a text that fits into the protocol. */
export function clip(text: string, characters = 256): string {
  return text.length > characters ? `${text.slice(0, characters - 1)}…` : text;
}
