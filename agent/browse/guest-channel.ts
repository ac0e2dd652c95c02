import type { BootImageMachine } from "../hypervisor/qemu/boot-image-machine.ts";
import { startFailure } from "../hypervisor/qemu/boot-image-machine.ts";
import { GuestAnswerInvalidError, GuestEndedError, GuestSilentError } from "./errors.ts";
import { type ChannelFrame, FrameError, FrameParser } from "./frames.ts";

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
