import { tmpdir } from "node:os";
import type * as z from "zod";
import { NotFoundError } from "#shared/errors.ts";
import type { DiskReader } from "../disk/reader.ts";
import { BootImageMachine } from "../hypervisor/qemu/boot-image-machine.ts";
import {
  FileSystemUnreadableError,
  GuestAnswerInvalidError,
  NoFileSystemError,
  NotAFileError,
  PathNotFoundError,
} from "./errors.ts";
import { type ChannelFrame, messageFrame, messageIn } from "./frames.ts";
import { GuestChannel } from "./guest-channel.ts";
import { openGuestImage } from "./guest-image.ts";
import { type BrowsedVolume, type GuestFailure, GuestMessage, PORT_NAME, type Question } from "./messages.ts";
import { serveDisk } from "./nbd-server.ts";
import { ReplyChecker, type ReplyPart } from "./reply.ts";

export interface BrowserOptions {
  /** The folder of a boot image. */
  imageFolder: string;
  /** Questions name them by their place in this list. */
  disks: readonly { name: string; reader: DiskReader }[];
}

/** What can be asked about a path: its entry and those directly in it, or everything with content. */
export interface PathQuestion {
  ask: "list" | "content";
  disk: number;
  volume: string;
  path: Buffer;
}

/** Between two frames. A volume with a large tree takes long to mount, and a block may come from far away. */
const ANSWER_LIMIT_MS = 5 * 60_000;

/**
 * Shows what is in the file systems of disks, which may be hostile: only the kernel of a guest without
 * network reads them, and what it answers is checked. Takes one question at a time. Besides the errors of
 * `./errors.ts`, every method throws what the reader of a disk threw, if that is why the guest could not
 * answer.
 */
export class Browser {
  readonly #machine: BootImageMachine;
  readonly #channel: GuestChannel;
  readonly #names: readonly string[];
  /** The first read that failed: why the guest recognises less, or ends. */
  #fault: unknown;

  private constructor(machine: BootImageMachine, { disks }: BrowserOptions) {
    this.#machine = machine;
    this.#names = disks.map(({ name }) => name);
    this.#channel = new GuestChannel(machine, () => this.#fault);
    for (const [at, { reader }] of disks.entries()) {
      const stream = machine.streams[at];
      const onError = (error: unknown) => {
        this.#fault ??= error;
      };
      if (stream) void serveDisk(stream, { name: exportName(at), reader, onError });
    }
  }

  /**
   * Starts the guest, and resolves once it answers. Throws `ToolMissingError` without QEMU,
   * `BrowseImageUnusableError` and `BootImageInvalidError` because of the boot image.
   */
  static async start(options: BrowserOptions): Promise<Browser> {
    const image = await openGuestImage(options.imageFolder, "browse");
    const machine = await BootImageMachine.start({
      ...image,
      cpuCount: 2,
      disks: options.disks.map((_, at) => ({ kind: "served", name: exportName(at) })),
      portName: PORT_NAME,
      workDir: tmpdir(),
    });
    const browser = new Browser(machine, options);
    try {
      await browser.#awaitReady();
      return browser;
    } catch (error) {
      await browser.close();
      throw error;
    }
  }

  /** The volumes of a disk that could have a file system. */
  async volumes(disk: number): Promise<BrowsedVolume[]> {
    this.#ask({ ask: "volumes", disk });
    const message = GuestMessage.safeParse(messageIn(await this.#next())).data;
    if (message?.say === "failed")
      throw this.#fault ?? new FileSystemUnreadableError("the disk", message.detail);
    if (message?.say !== "volumes") throw new GuestAnswerInvalidError("it does not list volumes");
    const isUnsure = message.volumes.some(({ type }) => type === undefined);
    if (this.#fault !== undefined && isUnsure) throw this.#fault;
    return message.volumes;
  }

  /** The parts of the answer as they arrive: the first is the entry at the path. */
  async *read(question: PathQuestion): AsyncGenerator<Exclude<ReplyPart, { kind: "failed" | "end" }>, void> {
    this.#ask({ ...question, path: question.path.toString("base64") });
    const checker = new ReplyChecker(question.ask);
    for (;;) {
      const part = checker.take(await this.#next());
      if (part?.kind === "end") return;
      if (part?.kind === "failed") throw this.#failure(question, part.failure);
      if (part) yield part;
    }
  }

  close(): Promise<void> {
    return this.#machine.stop();
  }

  #ask(question: z.input<typeof Question>): void {
    void this.#channel.send(messageFrame(question));
  }

  async #awaitReady(): Promise<void> {
    await this.#channel.waits();
    await this.#channel.begin();
    const message = GuestMessage.safeParse(messageIn(await this.#next())).data;
    if (message?.say !== "ready") throw new GuestAnswerInvalidError("it does not begin with its greeting");
  }

  #next(): Promise<ChannelFrame> {
    return this.#channel.next(ANSWER_LIMIT_MS);
  }

  #failure({ disk, volume, path }: PathQuestion, { why, detail }: GuestFailure): unknown {
    const shown = path.toString("utf8");
    const place = `${volume} of ${this.#names[disk]}`;
    if (why === "no such path") return new PathNotFoundError(shown, place);
    if (why === "not a file") return new NotAFileError(shown, detail);
    if (this.#fault !== undefined) return this.#fault;
    if (why === "no such volume") return new NotFoundError("volume", place);
    if (why === "no file system") return new NoFileSystemError(place, detail);
    return new FileSystemUnreadableError(`${shown} on ${place}`, detail);
  }
}

const exportName = (disk: number): string => `disk${disk}`;
