import type { Duplex } from "node:stream";
import { z } from "zod";

const Message = z.union([
  z.object({ QMP: z.unknown() }),
  z.object({ return: z.unknown(), id: z.int().optional() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }), id: z.int().optional() }),
  z.object({ event: z.string(), data: z.record(z.string(), z.unknown()).optional() }),
]);

export interface QmpEvent {
  event: string;
  data: Record<string, unknown>;
}

/** QEMU refused a monitor command, or ended before it answered. */
export class QmpError extends Error {
  override readonly name = "QmpError";
}

/** QEMU's monitor protocol over a connected stream: commands with answers, and the events between them. */
export class QmpClient {
  readonly #stream: Duplex;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  readonly #onEvent: (event: QmpEvent) => void;
  #lastId = 0;
  #partialLine = "";
  #closed = false;

  constructor(stream: Duplex, onEvent: (event: QmpEvent) => void) {
    this.#stream = stream;
    this.#onEvent = onEvent;
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => this.#receive(text));
    stream.on("error", () => this.#end());
    stream.on("close", () => this.#end());
  }

  /** Leaves capability negotiation, before which QEMU accepts nothing else. */
  async connect(): Promise<void> {
    await this.execute("qmp_capabilities");
  }

  /** Throws `QmpError` if QEMU refuses the command or its monitor closes first. */
  execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    if (this.#closed) return Promise.reject(new QmpError(`QEMU ended before ${command}`));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#stream.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  #receive(text: string): void {
    const lines = (this.#partialLine + text).split("\n");
    this.#partialLine = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") this.#handle(Message.parse(JSON.parse(line)));
  }

  #handle(message: z.infer<typeof Message>): void {
    if ("event" in message) {
      this.#onEvent({ event: message.event, data: message.data ?? {} });
      return;
    }
    if ("QMP" in message || message.id === undefined) return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ("error" in message) waiting?.reject(new QmpError(message.error.desc));
    else waiting?.resolve(message.return);
  }

  #end(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.values()) reject(new QmpError("QEMU ended before it answered"));
    this.#waiting.clear();
  }
}
