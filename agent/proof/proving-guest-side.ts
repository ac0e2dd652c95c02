import { type DiskKey, KEY_MEMORY_MIB, sentKeys } from "../adapt/disk-key.ts";
import { GuestAnswerInvalidError } from "../browse/errors.ts";
import { messageFrame, messageIn } from "../browse/frames.ts";
import { GuestChannel } from "../browse/guest-channel.ts";
import { openGuestImage } from "../browse/guest-image.ts";
import { printable } from "../hooks/printable.ts";
import type { GuestDisk } from "../hypervisor/guest.ts";
import { BootImageMachine } from "../hypervisor/qemu/boot-image-machine.ts";
import { FilesNotComparedError } from "./errors.ts";
import { PROVE_PORT, ProveAnswer, type ProveTask, type SeenFile } from "./messages.ts";

export interface CloneGuestOptions {
  /** The folder of a boot image. */
  imageFolder: string;
  /** By the source's names of them. */
  disks: readonly ({ name: string } & GuestDisk)[];
  /** Of encrypted volumes; the guest gets to see them all. */
  keys: readonly DiskKey[];
  /** Where files without a name are made. */
  workDir: string;
  signal: AbortSignal;
}

/** Minutes under emulation on a busy machine. */
const START_LIMIT_MS = 10 * 60_000;
/** Between two frames: a journal is replayed, or a large file is read, under emulation. */
const ANSWER_LIMIT_MS = 25 * 60_000;
/** All files together: a hostile source could list more than a lifetime's. */
const MOST_HOURS = 3;

/** A guest that reads the files of a clone, seen from this machine: what it says is checked. */
export class ProvingGuestSide {
  readonly #channel: GuestChannel;
  readonly #options: CloneGuestOptions;

  private constructor(channel: GuestChannel, options: CloneGuestOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /**
   * Starts the guest for some work. Rejects with the signal's reason, `FilesNotComparedError`, and what
   * `GuestChannel` and `openGuestImage` throw.
   */
  static async during<T>(
    options: CloneGuestOptions,
    work: (guest: ProvingGuestSide) => Promise<T>,
  ): Promise<T> {
    const { imageFolder, disks, keys, workDir, signal } = options;
    signal.throwIfAborted();
    const image = await openGuestImage(imageFolder, "prove");
    const machine = await BootImageMachine.start({
      ...image,
      memoryMiB: image.memoryMiB + (keys.length > 0 ? KEY_MEMORY_MIB : 0),
      cpuCount: 2,
      disks: disks.map(({ path, format }) => ({ kind: "image", path, format, changes: "discarded" })),
      workDir,
      portName: PROVE_PORT,
    });
    const stop = () => void machine.stop();
    const late = AbortSignal.timeout(MOST_HOURS * 3_600_000);
    const either = AbortSignal.any([signal, late]);
    either.addEventListener("abort", stop);
    try {
      // No event follows for a cancel that came while the guest was started.
      signal.throwIfAborted();
      const guest = new ProvingGuestSide(new GuestChannel(machine), options);
      await guest.#answer("ready", START_LIMIT_MS);
      return await work(guest);
    } catch (error) {
      signal.throwIfAborted();
      if (late.aborted) throw new FilesNotComparedError(`it took longer than ${MOST_HOURS} hours`);
      throw error;
    } finally {
      either.removeEventListener("abort", stop);
      await machine.stop();
    }
  }

  /** The file systems of the disks by UUID, each with why it could not be opened, if so. */
  async open(): Promise<Map<string, string | undefined>> {
    const { disks, keys } = this.#options;
    await this.#ask({ task: "open", disks: disks.map(({ name }) => name), ...sentKeys(keys) });
    const { fileSystems } = await this.#answer("opened");
    return new Map(
      fileSystems.map(({ uuid, problem }) => [uuid, problem === undefined ? undefined : printable(problem)]),
    );
  }

  /** The files at these paths, at most `FILES_AT_ONCE`, each byte as one character; in their order. */
  async read(fileSystem: string, paths: readonly string[]): Promise<SeenFile[]> {
    const encoded = paths.map((path) => Buffer.from(path, "latin1").toString("base64"));
    await this.#ask({ task: "read", fileSystem, paths: encoded });
    const seen: SeenFile[] = [];
    while (seen.length < paths.length) seen.push((await this.#answer("file")).file);
    return seen;
  }

  #ask(task: ProveTask): Promise<void> {
    return this.#channel.send(messageFrame(task));
  }

  async #answer<S extends ProveAnswer["say"]>(
    say: S,
    limitMs = ANSWER_LIMIT_MS,
  ): Promise<Extract<ProveAnswer, { say: S }>> {
    const answer = ProveAnswer.safeParse(messageIn(await this.#channel.next(limitMs))).data;
    if (!answer) throw new GuestAnswerInvalidError("a message has an unknown form");
    if (answer.say === "failed") throw new FilesNotComparedError(printable(answer.detail));
    if (answer.say !== say) throw new GuestAnswerInvalidError(`"${answer.say}" is no answer to this`);
    return answer as Extract<ProveAnswer, { say: S }>;
  }
}
