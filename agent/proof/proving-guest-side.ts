import { type CloneGuestOptions, withCloneGuest } from "../adapt/clone-guest.ts";
import { type DiskKey, sentKeys } from "../adapt/disk-key.ts";
import { GuestAnswerInvalidError } from "../browse/errors.ts";
import { messageFrame, messageIn } from "../browse/frames.ts";
import type { GuestChannel } from "../browse/guest-channel.ts";
import { printable } from "../hooks/printable.ts";
import type { GuestDisk } from "../hypervisor/guest.ts";
import { FilesNotComparedError } from "./errors.ts";
import { PROVE_PORT, ProveAnswer, type ProveTask, type SeenFile } from "./messages.ts";

export interface ProvedClone extends CloneGuestOptions {
  /** The clone's disks, by the source's names of them. */
  disks: readonly ({ name: string } & GuestDisk)[];
  keys: readonly DiskKey[];
}

/** Between two frames: a journal is replayed, or a large file is read, under emulation. */
const ANSWER_LIMIT_MS = 25 * 60_000;

/** A guest that reads the files of a clone, seen from this machine: what it says is checked. */
export class ProvingGuestSide {
  readonly #channel: GuestChannel;
  readonly #options: ProvedClone;

  private constructor(channel: GuestChannel, options: ProvedClone) {
    this.#channel = channel;
    this.#options = options;
  }

  /**
   * Starts the guest for some work, which gets the id of the boot image. Rejects with
   * `FilesNotComparedError`, and with what `withCloneGuest` throws.
   */
  static during<T>(
    options: ProvedClone,
    work: (guest: ProvingGuestSide, imageId: string) => Promise<T>,
  ): Promise<T> {
    const lateError = (why: string) => new FilesNotComparedError(why);
    return withCloneGuest(
      options,
      { mode: "prove", portName: PROVE_PORT, changes: "discarded", lateError },
      async (channel, imageId) => {
        const guest = new ProvingGuestSide(channel, options);
        await guest.#answer("ready");
        return work(guest, imageId);
      },
    );
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

  async #answer<S extends ProveAnswer["say"]>(say: S): Promise<Extract<ProveAnswer, { say: S }>> {
    const answer = ProveAnswer.safeParse(messageIn(await this.#channel.next(ANSWER_LIMIT_MS))).data;
    if (!answer) throw new GuestAnswerInvalidError("a message has an unknown form");
    if (answer.say === "failed") throw new FilesNotComparedError(printable(answer.detail));
    if (answer.say !== say) throw new GuestAnswerInvalidError(`"${answer.say}" is no answer to this`);
    return answer as Extract<ProveAnswer, { say: S }>;
  }
}
