import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { promisify } from "node:util";
import type { Log } from "#shared/log.ts";
import { canonicalJson } from "#shared/protocol/canonical-json.ts";
import { hashOpenFile } from "../boot-image/hash-open-file.ts";
import { BootImageMachine, machineArguments } from "../hypervisor/qemu/boot-image-machine.ts";
import { QEMU_PROGRAM } from "../hypervisor/qemu/qemu-machine.ts";
import { saveState } from "../hypervisor/qemu/save-state.ts";
import { withTimeLimit } from "../machine/time-limit.ts";
import { GuestChannel } from "./guest-channel.ts";
import { type StartedGuest, type StartedGuestOptions, startGuest, stopOnFailure } from "./started-guest.ts";

/** A saved start takes some 400 MiB. */
const LEAST_FREE_BYTES = 2 * 2 ** 30;
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
  /** What could not be made, or not be resumed from; neither is tried again before the agent starts again. */
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
    const { stdout: qemu } = await promisify(execFile)(QEMU_PROGRAM, ["--version"]);
    const name = nameOf(options, qemu);
    if (this.#unable.has(name)) return undefined;
    const folder = join(this.#folder, options.imageId);
    const known = await savedIn(folder, name);
    const saved = known ?? (await this.#make(name, { ...options, folder }, signal));
    try {
      await using file = await openSaved(saved);
      return await startGuest(options, signal, { state: { file, qemu }, limitMs: this.#limitMs });
    } catch (error) {
      if (signal.aborted) throw error;
      await rm(saved.path, { force: true });
      // A QEMU that does not resume from what it has just saved does not resume from the next one.
      if (!known) this.#unable.add(name);
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
    try {
      let sha256 = "";
      await saveStart({ ...options, disks: [] }, signal, (monitor) =>
        withTimeLimit(
          saveState(monitor, async (state) => {
            sha256 = await writeSaved(state, partial);
          }),
          this.#limitMs,
          () => {
            throw new Error("QEMU does not save the start");
          },
        ),
      );
      const path = join(folder, `${name}-${sha256}.state`);
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
    const [, of, sha256] = /^([0-9a-f]+)-([0-9a-f]{64})\.state$/.exec(file) ?? [];
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

/** Resolves with the SHA-256 of what it wrote. */
async function writeSaved(state: Readable, path: string): Promise<string> {
  const digest = createHash("sha256");
  await using file = await open(path, "w", 0o600);
  for await (const piece of state as AsyncIterable<Buffer>) {
    digest.update(piece);
    await file.writeFile(piece);
  }
  await file.sync();
  return digest.digest("hex");
}

/**
 * Opens a saved start, at its beginning. Rejects if it is not the one that was written. QEMU reads the file
 * itself: the agent's memory settings (docs/decisions/0013) make a stream of this length take seconds.
 */
async function openSaved({ path, sha256 }: SavedStart): Promise<FileHandle> {
  const file = await open(path);
  try {
    if ((await hashOpenFile(file)).sha256 !== sha256) throw new Error("the saved start is damaged");
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Two hashes: of the machine, and of what runs it. Another machine, or another QEMU, cannot resume it. */
function nameOf(options: SavedGuestOptions, qemu: string): string {
  const { imageId } = options;
  return [machineArguments({ ...options, state: "saved" }), { imageId, qemu }]
    .map((part) => createHash("sha256").update(canonicalJson(part)).digest("hex").slice(0, HASH_DIGITS))
    .join("");
}
