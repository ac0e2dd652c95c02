import type { Duplex } from "node:stream";
import type { DiskReader } from "../disk/reader.ts";
import {
  COMMAND,
  exportAnswer,
  exportInfo,
  FAULT,
  listedExport,
  MOST_READ_BYTES,
  type NbdMessage,
  NbdParser,
  nbdGreeting,
  OPTION,
  OPTION_REPLY,
  optionReply,
  replyHeader,
  requestedExport,
} from "./nbd-protocol.ts";

/** A disk's size is a whole number of these; some clients never end with one that is not. */
const SECTOR_BYTES = 512;

export interface ServedDisk {
  /** The only export's name. */
  name: string;
  reader: DiskReader;
  /** Gets the error of each read that fails; the client only sees EIO. */
  onError: (error: unknown) => void;
}

/**
 * Serves a disk for reading to the client at the other end of the stream, by the network block device
 * protocol, until the client leaves or breaks the protocol. Never rejects. Takes the next request only once
 * the client has the answer to the one before, so it holds one read of at most 32 MiB. A last sector that is
 * not whole ends with zeros.
 */
export async function serveDisk(stream: Duplex, disk: ServedDisk): Promise<void> {
  // The loop below ends with the stream; this keeps the process from ending with it.
  stream.on("error", () => undefined);
  try {
    await new NbdConnection(stream, disk).run();
  } catch {
    // A client that is gone, or that does not speak the protocol: there is no one to tell.
  } finally {
    stream.destroy();
  }
}

class NbdConnection {
  readonly #stream: Duplex;
  readonly #disk: ServedDisk;
  readonly #parser = new NbdParser();
  readonly #sizeBytes: number;
  #ended = false;

  constructor(stream: Duplex, disk: ServedDisk) {
    this.#stream = stream;
    this.#disk = disk;
    this.#sizeBytes = Math.ceil(disk.reader.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
  }

  async run(): Promise<void> {
    await this.#send(nbdGreeting());
    for await (const bytes of this.#stream) {
      this.#parser.add(bytes as Buffer);
      for (let message = this.#parser.next(); message; message = this.#parser.next()) {
        if (message.kind === "option") await this.#answerOption(message);
        else await this.#answerRequest(message);
        if (this.#ended) return;
      }
    }
  }

  async #answerOption({ option, data }: Extract<NbdMessage, { kind: "option" }>): Promise<void> {
    const { name } = this.#disk;
    const reply = (kind: number, content?: Uint8Array) => this.#send(optionReply(option, kind, content));
    if (option === OPTION.exportName) return this.#startWithoutReply(data.toString("utf8"));
    if (option === OPTION.go || option === OPTION.info) return this.#tell(option, requestedExport(data));
    if (option === OPTION.list) {
      if (data.length > 0) return reply(OPTION_REPLY.invalid);
      await reply(OPTION_REPLY.server, listedExport(name));
      return reply(OPTION_REPLY.ack);
    }
    if (option !== OPTION.abort) return reply(OPTION_REPLY.unsupported);
    this.#ended = true;
    return reply(OPTION_REPLY.ack);
  }

  /** The oldest way to choose an export knows no refusal but the end of the connection. */
  async #startWithoutReply(wanted: string): Promise<void> {
    this.#ended = wanted !== this.#disk.name;
    if (this.#ended) return;
    await this.#send(exportAnswer(this.#sizeBytes, this.#parser.noZeroes));
    this.#parser.startRequests();
  }

  async #tell(option: number, wanted: string | undefined): Promise<void> {
    if (wanted === undefined) return this.#send(optionReply(option, OPTION_REPLY.invalid));
    if (wanted !== this.#disk.name) return this.#send(optionReply(option, OPTION_REPLY.unknown));
    for (const info of exportInfo(this.#sizeBytes))
      await this.#send(optionReply(option, OPTION_REPLY.info, info));
    await this.#send(optionReply(option, OPTION_REPLY.ack));
    if (option === OPTION.go) this.#parser.startRequests();
  }

  async #answerRequest(request: Extract<NbdMessage, { kind: "request" }>): Promise<void> {
    const { command, cookie } = request;
    if (command === COMMAND.disconnect) {
      this.#ended = true;
      return;
    }
    if (command === COMMAND.read) return this.#read(request);
    const fault = command === COMMAND.flush ? FAULT.none : FAULT.notPermitted;
    await this.#send(replyHeader(cookie, fault));
  }

  async #read({ cookie, offset, bytes }: { cookie: bigint; offset: bigint; bytes: number }): Promise<void> {
    const { reader, onError } = this.#disk;
    if (bytes > MOST_READ_BYTES || offset + BigInt(bytes) > BigInt(this.#sizeBytes))
      return this.#send(replyHeader(cookie, FAULT.invalid));
    let content: Uint8Array;
    try {
      const inside = Math.max(0, Math.min(bytes, reader.sizeBytes - Number(offset)));
      const read = inside > 0 ? await reader.read(Number(offset), inside) : Buffer.alloc(0);
      content = inside === bytes ? read : Buffer.concat([read, Buffer.alloc(bytes - inside)]);
    } catch (error) {
      onError(error);
      return this.#send(replyHeader(cookie, FAULT.io));
    }
    await this.#send(replyHeader(cookie, FAULT.none));
    await this.#send(content);
  }

  #send(bytes: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#stream.write(bytes, (error) => (error ? reject(error) : resolve()));
    return promise;
  }
}
