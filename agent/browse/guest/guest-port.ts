import { type FileHandle, open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Begin, type WakeMessage } from "../../hypervisor/qemu/wake.ts";
import { type ChannelFrame, FrameParser, messageFrame, messageIn } from "../frames.ts";
import { runGuestTool } from "./tool.ts";

const PORTS = "/sys/class/virtio-ports";
/** The driver may appear a moment later than the agent. */
const PORT_TRIES = 60;
const READ_BYTES = 64 * 1024;
const ATTACH_DISKS = "/usr/lib/causeway/attach-disks";

/** The channel to the machine that started this guest, seen from the guest. */
export class GuestPort {
  /** What arrives, for as long as the guest runs. */
  readonly frames: AsyncGenerator<ChannelFrame, never>;
  readonly #port: FileHandle;

  private constructor(port: FileHandle) {
    this.#port = port;
    this.frames = this.#arriving();
  }

  /**
   * Opens the port, and waits for the other side's word before the kernel looks at the disks. Rejects if
   * there is no port of this name, or if the disks cannot be attached.
   */
  static async open(name: string): Promise<GuestPort> {
    const port = new GuestPort(await opened(name));
    await port.#awaitBegin();
    return port;
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; )
      done += (await this.#port.write(bytes, done, bytes.length - done)).bytesWritten;
  }

  /** While it waits, this guest may be saved. Copies of it then continue much later. */
  async #awaitBegin(): Promise<void> {
    const say = (message: WakeMessage) => this.send(messageFrame(message));
    await say({ wake: "waiting" });
    const { value: frame } = await this.frames.next();
    const { atMs } = Begin.parse(messageIn(frame));
    await required("/usr/bin/date", "-u", "-s", `@${Math.floor(atMs / 1000)}`);
    await required(ATTACH_DISKS);
    await say({ wake: "begun" });
  }

  async *#arriving(): AsyncGenerator<ChannelFrame, never> {
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

async function opened(name: string): Promise<FileHandle> {
  for (let left = PORT_TRIES; left > 0; left--) {
    for (const port of await readdir(PORTS).catch(() => [])) {
      const found = await readFile(join(PORTS, port, "name"), "utf8").catch(() => "");
      if (found.trim() === name) return open(join("/dev", port), "r+");
    }
    await delay(500);
  }
  throw new Error("there is no channel to the machine that started this guest");
}

async function required(command: string, ...args: string[]): Promise<void> {
  const { succeeded, complaint } = await runGuestTool(command, ...args);
  if (!succeeded) throw new Error(`${command} does not succeed: ${complaint}`);
}
