import { execFile } from "node:child_process";
import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex, Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import type { Log } from "#shared/log.ts";
import { canonicalJson } from "#shared/protocol/canonical-json.ts";
import { BootImageMachine } from "../hypervisor/qemu/boot-image-machine.ts";
import { QEMU_PROGRAM } from "../hypervisor/qemu/qemu-machine.ts";
import { saveState } from "../hypervisor/qemu/save-state.ts";
import { withTimeLimit } from "../machine/time-limit.ts";
import { GuestChannel } from "./guest-channel.ts";
import { type StartedGuest, type StartedGuestOptions, startGuest, stopOnFailure } from "./started-guest.ts";

/** A saved start takes some 100 MiB. */
const LEAST_FREE_BYTES = 1024 * 2 ** 20;
/** Small pieces take seconds in all. */
const PIECE_BYTES = 2 ** 20;
/** Of each of the two hashes in a name. */
const HASH_DIGITS = 16;
/** For QEMU to give or to take a state, which is seconds. It can wait without end. */
const STATE_LIMIT_MS = 2 * 60_000;

type SavedGuestOptions = StartedGuestOptions & { imageId: string };

/**
 * The states of guests that have started and have not seen a disk yet, in a folder. A guest that resumes from
 * one has its disks seconds earlier than one that starts. Each is made by the first guest that could use it,
 * from the signed boot image; it has no disk, so it holds nothing of any source.
 */
export class SavedStarts {
  readonly #folder: string;
  readonly #log: Log;
  readonly #limitMs: number;
  readonly #making = new Map<string, Promise<SavedStart>>();
  /** What could not be made; it is not tried again before the agent starts again. */
  readonly #unable = new Set<string>();

  constructor({ folder, log, limitMs = STATE_LIMIT_MS }: { folder: string; log: Log; limitMs?: number }) {
    this.#folder = folder;
    this.#log = log;
    this.#limitMs = limitMs;
  }

  /** Resumes a guest, or starts it if that is not possible. Throws as `startGuest` does. */
  async start(options: SavedGuestOptions, signal: AbortSignal): Promise<StartedGuest> {
    const resumed = await this.#resume(options, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      this.#log.warn("a guest cannot be resumed, and is started", { error: String(error) });
    });
    return resumed ?? startGuest(options, signal);
  }

  async #resume(options: SavedGuestOptions, signal: AbortSignal): Promise<StartedGuest | undefined> {
    const name = await nameOf(options);
    if (this.#unable.has(name)) return undefined;
    const folder = join(this.#folder, options.imageId);
    const saved = (await savedIn(folder, name)) ?? (await this.#make(name, { ...options, folder }, signal));
    try {
      return await startGuest(options, signal, (state) =>
        withTimeLimit(readSaved(saved, state), this.#limitMs, () => {
          throw new Error("QEMU does not take the saved start");
        }),
      );
    } catch (error) {
      if (!signal.aborted) await rm(saved.path, { force: true });
      throw error;
    }
  }

  /** Once, also for several guests that want it at the same time. */
  #make(
    name: string,
    options: SavedGuestOptions & { folder: string },
    signal: AbortSignal,
  ): Promise<SavedStart> {
    const making =
      this.#making.get(name) ??
      this.#makeAlone(name, options, signal)
        .catch((error: unknown) => {
          if (!signal.aborted) this.#unable.add(name);
          throw error;
        })
        .finally(() => this.#making.delete(name));
    this.#making.set(name, making);
    return making;
  }

  async #makeAlone(
    name: string,
    { folder, ...options }: SavedGuestOptions & { folder: string },
    signal: AbortSignal,
  ): Promise<SavedStart> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Those of other boot images are of no use any more.
    for (const other of await readdir(this.#folder))
      if (other !== options.imageId) await rm(join(this.#folder, other), { recursive: true, force: true });
    // Nor are those of another version of QEMU for the same machine.
    for (const file of await readdir(folder))
      if (file.startsWith(name.slice(0, HASH_DIGITS)) && !file.startsWith(name))
        await rm(join(folder, file), { force: true });
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize < LEAST_FREE_BYTES) throw new Error(`${folder} has too little free space`);
    const partial = join(folder, `${name}.partial`);
    const digest = createHash("sha256");
    try {
      await saveStart({ ...options, disks: [] }, signal, (monitor) =>
        withTimeLimit(
          saveState(monitor, (state) => writeSaved(state, digest, partial)),
          this.#limitMs,
          () => {
            throw new Error("QEMU does not save the start");
          },
        ),
      );
      const sha256 = digest.digest("hex");
      const path = join(folder, `${name}-${sha256}.zst`);
      await rename(partial, path);
      return { path, sha256 };
    } finally {
      await rm(partial, { force: true });
    }
  }
}

/** A whole one; its name says what it has. */
interface SavedStart {
  path: string;
  sha256: string;
}

async function savedIn(folder: string, name: string): Promise<SavedStart | undefined> {
  for (const file of await readdir(folder).catch(() => [])) {
    const [, of, sha256] = /^([0-9a-f]+)-([0-9a-f]{64})\.zst$/.exec(file) ?? [];
    if (of === name && sha256 !== undefined) return { path: join(folder, file), sha256 };
  }
  return undefined;
}

/** Starts a guest that has no disk, and saves it once it waits. */
async function saveStart(
  options: StartedGuestOptions,
  signal: AbortSignal,
  save: (monitor: Duplex) => Promise<void>,
): Promise<void> {
  signal.throwIfAborted();
  const machine = await BootImageMachine.start({ ...options, state: "saved" });
  await stopOnFailure(machine, signal, async () => {
    await new GuestChannel(machine).waits();
    if (machine.monitor) await save(machine.monitor);
  });
  await machine.stop();
}

async function writeSaved(state: Readable, digest: Hash, path: string): Promise<void> {
  const params = { [constants.ZSTD_c_compressionLevel]: 1 };
  const compress = createZstdCompress({ params, chunkSize: PIECE_BYTES });
  const hashing = (source: AsyncIterable<Buffer>) => hashed(source, digest);
  await pipeline(state, compress, hashing, createWriteStream(path, { mode: 0o600 }));
  const file = await open(path, "r+");
  await file.sync().finally(() => file.close());
}

/** Rejects if the file is not the one that was written; the guest then does not resume. */
async function readSaved({ path, sha256 }: SavedStart, state: Writable): Promise<void> {
  const file = createReadStream(path, { highWaterMark: PIECE_BYTES });
  const checked = (source: AsyncIterable<Buffer>) => withheldUntilEqual(source, sha256);
  await pipeline(file, checked, createZstdDecompress({ chunkSize: PIECE_BYTES }), state);
}

/** QEMU resumes a guest when it has the last bytes. It gets these once all of them are known to be right. */
async function* withheldUntilEqual(source: AsyncIterable<Buffer>, sha256: string): AsyncGenerator<Buffer> {
  const digest = createHash("sha256");
  let last: Buffer = Buffer.alloc(0);
  for await (const bytes of source) {
    digest.update(bytes);
    yield last;
    last = bytes;
  }
  if (digest.digest("hex") !== sha256) throw new Error("the saved start is damaged");
  yield last;
}

async function* hashed(source: AsyncIterable<Buffer>, digest: Hash): AsyncGenerator<Buffer> {
  for await (const bytes of source) {
    digest.update(bytes);
    yield bytes;
  }
}

/** Two hashes: of the machine, and of what runs it. Another machine, or another QEMU, cannot resume it. */
async function nameOf(options: SavedGuestOptions): Promise<string> {
  const { imageId, commandLine, memoryMiB, cpuCount, portName } = options;
  const { stdout: qemu } = await promisify(execFile)(QEMU_PROGRAM, ["--version"]);
  return [
    { commandLine, memoryMiB, cpuCount, portName },
    { imageId, qemu },
  ]
    .map((part) => createHash("sha256").update(canonicalJson(part)).digest("hex").slice(0, HASH_DIGITS))
    .join("");
}
