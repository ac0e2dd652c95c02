import type { BootImageMachine } from "../hypervisor/qemu/boot-image-machine.ts";
import { startFailure } from "../hypervisor/qemu/boot-image-machine.ts";
import { type Begin, WakeMessage } from "../hypervisor/qemu/wake.ts";
import { GuestAnswerInvalidError, GuestEndedError, GuestSilentError } from "./errors.ts";
import { type ChannelFrame, FrameError, FrameParser, messageFrame, messageIn } from "./frames.ts";

/** For a guest's start: minutes under emulation on a busy machine. */
const START_LIMIT_MS = 10 * 60_000;
/** A guest that was not resumed well never answers. */
const BEGIN_LIMIT_MS = 2 * 60_000;

/** The channel to a guest that is started from a boot image, seen from this machine. */
export class GuestChannel {
  readonly #machine: BootImageMachine;
  readonly #frames: AsyncGenerator<ChannelFrame, void>;
  readonly #fault: () => unknown;

  /** `fault`: what went wrong on this side, if anything; it explains why the guest is silent or ends. */
  constructor(machine: BootImageMachine, fault: () => unknown = () => undefined) {
    this.#machine = machine;
    this.#frames = framesOf(machine);
    this.#fault = fault;
  }

  /** Resolves once the guest has started, and waits before it looks at its disks. Throws as `next` does. */
  async waits(): Promise<void> {
    await this.#hear("waiting", START_LIMIT_MS);
  }

  /** Lets a guest that waits look at its disks; resolves once they are there. Throws as `next` does. */
  async begin(limitMs = BEGIN_LIMIT_MS): Promise<void> {
    const word: Begin = { wake: "begin", atMs: Date.now() };
    await this.send(messageFrame(word));
    await this.#hear("begun", limitMs);
  }

  /** Resolves when there is room for more. */
  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      // The end of QEMU resets the connection; the next frame says so.
      this.#machine.port.write(bytes, () => resolve());
    });
  }

  /**
   * The next frame. Throws `GuestSilentError` after `limitMs`, `GuestAnswerInvalidError`, `GuestEndedError`,
   * what explains the guest's start not succeeding, or the fault of this side.
   */
  async next(limitMs: number): Promise<ChannelFrame> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      reject(this.#fault() ?? new GuestSilentError(limitMs / 1000, this.#machine.lastLine));
    }, limitMs);
    try {
      const { value } = await Promise.race([this.#frames.next(), late]);
      if (value) return value;
    } catch (error) {
      throw error instanceof FrameError ? new GuestAnswerInvalidError(error.message) : error;
    } finally {
      clearTimeout(timer);
    }
    const end = await this.#machine.ended;
    const { lastLine } = this.#machine;
    throw this.#fault() ?? (lastLine === "" ? startFailure(end) : new GuestEndedError(end.cause, lastLine));
  }

  async #hear(wake: WakeMessage["wake"], limitMs: number): Promise<void> {
    const message = WakeMessage.safeParse(messageIn(await this.next(limitMs))).data;
    if (message?.wake !== wake) throw new GuestAnswerInvalidError(`it does not say "${wake}"`);
  }
}

/** Ends with the connection, whatever ends it. */
async function* framesOf({ port }: BootImageMachine): AsyncGenerator<ChannelFrame, void> {
  const parser = new FrameParser();
  try {
    for await (const bytes of port) yield* parser.add(bytes as Buffer);
  } catch (error) {
    if (error instanceof FrameError) throw error;
    // The end of QEMU resets the connection.
  }
}
