import type { Duplex } from "node:stream";
import * as z from "zod";

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

/** QEMU refused a monitor command, did not answer in time, or ended before it answered. */
export class QmpError extends Error {
  override readonly name = "QmpError";
}

/** Longer than any answer to our commands; a guest that took QEMU over could send a line without an end. */
const MAX_LINE_CHARACTERS = 2 ** 20;
const ANSWER_LIMIT_MS = 60_000;

/**
 * QEMU's monitor protocol over a connected stream: commands with answers, and events between them. Anything
 * that violates the protocol closes the stream; it never throws at the reader.
 */
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
    stream.on("end", () => this.#end());
    stream.on("close", () => this.#end());
  }

  /** Ends capability negotiation, before which QEMU accepts no other command. */
  async connect(limitMs = ANSWER_LIMIT_MS): Promise<void> {
    await this.execute("qmp_capabilities", {}, limitMs);
  }

  /** Throws `QmpError` if QEMU refuses the command, ends, or does not answer within the limit. */
  async execute(
    command: string,
    args: Record<string, unknown> = {},
    limitMs = ANSWER_LIMIT_MS,
  ): Promise<unknown> {
    if (this.#closed) throw new QmpError(`QEMU ended before ${command}`);
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      reject(new QmpError(`QEMU did not answer ${command} within ${limitMs / 1000} s`));
    }, limitMs);
    this.#stream.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return promise.finally(() => clearTimeout(timer));
  }

  #receive(text: string): void {
    if (this.#closed) return;
    const lines = (this.#partialLine + text).split("\n");
    this.#partialLine = lines.pop() ?? "";
    const understood = lines.every((line) => line.trim() === "" || this.#take(line));
    if (!understood || this.#partialLine.length > MAX_LINE_CHARACTERS) this.#giveUp();
  }

  /** Whether the line follows the protocol. */
  #take(line: string): boolean {
    const message = parsed(line);
    if (message) this.#handle(message);
    return message !== undefined;
  }

  #giveUp(): void {
    this.#partialLine = "";
    this.#end();
    this.#stream.destroy();
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

function parsed(line: string): z.infer<typeof Message> | undefined {
  try {
    return Message.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
