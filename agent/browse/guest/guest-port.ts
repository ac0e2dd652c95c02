import { type FileHandle, open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type ChannelFrame, FrameParser } from "../frames.ts";

const PORTS = "/sys/class/virtio-ports";
/** The driver may appear a moment later than the agent. */
const PORT_TRIES = 60;
const READ_BYTES = 64 * 1024;

/** The channel to the machine that started this guest, seen from the guest. */
export class GuestPort {
  readonly #port: FileHandle;

  private constructor(port: FileHandle) {
    this.#port = port;
  }

  /** Rejects if there is no port of this name. */
  static async open(name: string): Promise<GuestPort> {
    for (let left = PORT_TRIES; left > 0; left--) {
      for (const port of await readdir(PORTS).catch(() => [])) {
        const found = await readFile(join(PORTS, port, "name"), "utf8").catch(() => "");
        if (found.trim() === name) return new GuestPort(await open(join("/dev", port), "r+"));
      }
      await delay(500);
    }
    throw new Error("there is no channel to the machine that started this guest");
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; )
      done += (await this.#port.write(bytes, done, bytes.length - done)).bytesWritten;
  }

  /** What arrives, for as long as the guest runs. */
  async *frames(): AsyncGenerator<ChannelFrame, never> {
    const parser = new FrameParser();
    const bytes = Buffer.alloc(READ_BYTES);
    for (;;) {
      const { bytesRead } = await this.#port.read(bytes, 0, bytes.length, null);
      // The other side is not there yet. Once it has been there, its end is the end of this guest.
      if (bytesRead === 0) await delay(100);
      yield* parser.add(bytes.subarray(0, bytesRead));
    }
  }
}
